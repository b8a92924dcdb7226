"""THE TABLE of tests: `is NAME`. A test of something missing is false, but for those that ask for just that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from hubqueue.expression.fault import ExpressionFailed
from hubqueue.expression.numbers import is_number, whole, whole_in
from hubqueue.expression.operation import Operation
from hubqueue.expression.operators import COMPARISONS, equal, within
from hubqueue.expression.textfilters import walked
from hubqueue.expression.work import Work
from hubqueue.model.kinds import kind_of


def _kind(*kinds: type) -> Operation:
    def run(work: Work, value: Any) -> bool:
        return type(value) in kinds

    return Operation(run, missing=False)


def _of(run: Callable[..., bool]) -> Operation:
    return Operation(run, missing=False)


def _number(work: Work, value: Any) -> bool:
    return is_number(value)


def _parity(wanted: int) -> Operation:
    def run(work: Work, value: Any) -> bool:
        found = whole(value)
        if type(found) is not int:
            raise ExpressionFailed(f"{kind_of(value)} is neither odd nor even: it is no whole number")
        return found % 2 == wanted

    return _of(run)


def _divisible(work: Work, value: Any, by: Any) -> bool:
    divisor = whole_in(by, "divisibleby")
    if divisor == 0:
        raise ExpressionFailed("cannot divide by 0")
    return whole_in(value, "divisibleby") % divisor == 0


def _same(wanted: bool) -> Operation:
    def run(work: Work, value: Any) -> bool:
        return value is wanted

    return _of(run)


def _lower(work: Work, value: Any) -> bool:
    return walked(work, value).islower()


def _upper(work: Work, value: Any) -> bool:
    return walked(work, value).isupper()


def _contains(work: Work, value: Any, item: Any) -> bool:
    return within(work, item, value)


def _identical(work: Work, value: Any, other: Any) -> bool:
    """Of one kind as well: true is not 1."""
    return type(value) is type(other) and equal(work, value, other)


def _missing(work: Work, value: Any) -> bool:
    return value is None


def _there(work: Work, value: Any) -> bool:
    return value is not None


_EQUALS: Final = {
    "eq": ("eq", "equalto", "=="),
    "ne": ("ne", "!="),
    "lt": ("lt", "lessthan", "<"),
    "lteq": ("le", "<="),
    "gt": ("gt", "greaterthan", ">"),
    "gteq": ("ge", ">="),
    "in": ("in",),
}
TESTS: Final[dict[str, Operation]] = {
    "defined": Operation(_there, sees_missing=True),
    "undefined": Operation(_missing, sees_missing=True),
    "none": Operation(_missing, sees_missing=True),
    "number": _of(_number),
    "integer": _kind(int),
    "float": _kind(float),
    "boolean": _kind(bool),
    "string": _kind(str),
    "mapping": _kind(dict),
    "list": _kind(list),
    "sequence": _kind(list, dict, str),
    "iterable": _kind(list, dict, str),
    "true": _same(True),
    "false": _same(False),
    "odd": _parity(1),
    "even": _parity(0),
    "divisibleby": _of(_divisible),
    "lower": _of(_lower),
    "upper": _of(_upper),
    "contains": _of(_contains),
    "sameas": _of(_identical),
    **{name: Operation(COMPARISONS[kind], sees_missing=True) for kind, names in _EQUALS.items() for name in names},
}
