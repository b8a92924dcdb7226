"""THE TABLE of functions: name(...) in an expression."""

from __future__ import annotations

import math
from typing import Any, Final

from hubqueue.expression import listfilters as lists
from hubqueue.expression import numberfilters as numbers
from hubqueue.expression.operation import Operation, table
from hubqueue.expression.work import Work

_OF_ONE: Final = ("sqrt", "exp", "log10", "sin", "cos", "tan", "radians", "degrees", "floor", "ceil")


def _lowest(work: Work, *values: Any) -> Any:
    return lists.smallest(work, _items(values), True)


def _highest(work: Work, *values: Any) -> Any:
    return lists.largest(work, _items(values), True)


def _items(values: tuple[Any, ...]) -> Any:
    """max(a, b) or max(list)."""
    return values[0] if len(values) == 1 else list(values)


FUNCTIONS: Final[dict[str, Operation]] = {
    **{name: Operation(numbers.of_one(name, getattr(math, name))) for name in _OF_ONE},
    **table(
        log=numbers.logarithm,
        atan2=numbers.arctangent,
        abs=numbers.absolute,
        round=numbers.rounded,
        min=_lowest,
        max=_highest,
        range=lists.numbered,
    ),
    "int": Operation(numbers.to_int, sees_missing=True),
    "float": Operation(numbers.to_float, sees_missing=True),
}
