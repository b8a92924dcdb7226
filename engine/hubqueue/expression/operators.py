"""The operators of expressions, as functions of values. Null is missing, and missing is None here.

THE TRUTH TABLE (docs/expressions.md; a test runs it against every door): with a missing operand < <= > >= == and `in`
are false, != and `not in` are true, everything that calculates or makes something is missing. `and`, `or`, `not` and
`if` are Python's own and take missing as false.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, Final

from hubqueue.expression.fault import ExpressionFailed
from hubqueue.expression.numbers import NUMBERS, bounded, power, whole
from hubqueue.expression.shown import shown
from hubqueue.expression.work import ITEM, LONG, Work, check_text, spend, spend_chars, weigh
from hubqueue.model.kinds import kind_of

Compare = Callable[[Work, Any, Any], bool]
Calculate = Callable[[Work, Any, Any], Any]

OPEN: Final = object()  # a bound of a slice that its author left out
_HELD: Final = frozenset({list, dict})


def equal(work: Work, left: Any, right: Any) -> bool:
    """Values of different kinds are unequal; 1, 1.0 and true are equal."""
    if left is None or right is None:
        return False
    kind = type(left)
    if kind is str:
        if len(left) > LONG:
            spend_chars(work, len(left))
    elif kind in _HELD and type(right) is kind:
        spend_chars(work, weigh(work, left))
    return left == right  # type: ignore[no-any-return]


def unequal(work: Work, left: Any, right: Any) -> bool:
    return not equal(work, left, right)


def within(work: Work, item: Any, where: Any) -> bool:
    """`in`: an item of a list, a part of a text, a key of a map. Errors: ExpressionFailed."""
    if item is None or where is None:
        return False
    kind = type(where)
    if kind is list:
        spend(work, ITEM * len(where))
        if type(item) not in _HELD and (type(item) is not str or len(item) <= LONG):
            return item in where
        return any(equal(work, item, each) for each in where)
    if kind is dict and type(item) not in _HELD:
        return item in where
    if kind is str and type(item) is str:
        spend_chars(work, len(where))
        return item in where
    raise ExpressionFailed(f"{kind_of(item)} cannot be looked for in {kind_of(where)}")


def without(work: Work, item: Any, where: Any) -> bool:
    return not within(work, item, where)


def _ordered(compare: Callable[[Any, Any], bool]) -> Compare:
    def run(work: Work, left: Any, right: Any) -> bool:
        if left is None or right is None:
            return False
        kind, other = type(left), type(right)
        if kind in NUMBERS and other in NUMBERS:
            return compare(left, right)
        if kind is str and other is str:
            spend_chars(work, len(left))
            return compare(left, right)
        raise ExpressionFailed(f"{kind_of(left)} cannot be compared with {kind_of(right)}")

    return run


less: Final = _ordered(operator.lt)
COMPARISONS: Final[dict[str, Compare]] = {
    "eq": equal,
    "ne": unequal,
    "lt": less,
    "lteq": _ordered(operator.le),
    "gt": _ordered(operator.gt),
    "gteq": _ordered(operator.ge),
    "in": within,
    "notin": without,
}


def _calculated(sign: str, calculate: Callable[[Any, Any], Any]) -> Calculate:
    def run(work: Work, left: Any, right: Any) -> Any:
        if left is None or right is None:
            return None
        if type(left) in NUMBERS and type(right) in NUMBERS:
            try:
                return bounded(calculate(left, right))
            except ZeroDivisionError:
                raise ExpressionFailed("cannot divide by 0") from None
            except OverflowError:
                raise ExpressionFailed("the number is too large") from None
        odd = right if type(left) in NUMBERS else left
        raise ExpressionFailed(f"'{sign}' takes numbers, not {kind_of(odd)}")

    return run


_plus: Final = _calculated("+", operator.add)


def added(work: Work, left: Any, right: Any) -> Any:
    """Numbers, or two texts or two lists one after the other."""
    kind = type(left)
    if kind is type(right) and kind is str:
        check_text(work, len(left) + len(right))
        return left + right
    if kind is type(right) and kind is list:
        spend(work, ITEM * (len(left) + len(right)))
        return left + right
    if (kind is str or type(right) is str) and left is not None and right is not None:
        raise ExpressionFailed(f"{kind_of(left)} and {kind_of(right)} cannot be added; '~' puts texts together")
    return _plus(work, left, right)


CALCULATIONS: Final[dict[str, Calculate]] = {
    "Add": added,
    "Sub": _calculated("-", operator.sub),
    "Mul": _calculated("*", operator.mul),
    "Div": _calculated("/", operator.truediv),
    "FloorDiv": _calculated("//", operator.floordiv),
    "Mod": _calculated("%", operator.mod),
    "Pow": _calculated("**", power),
}


def negative(work: Work, value: Any) -> Any:
    if value is None:
        return None
    if type(value) not in NUMBERS:
        raise ExpressionFailed(f"'-' takes a number, not {kind_of(value)}")
    return bounded(-value)


def positive(work: Work, value: Any) -> Any:
    return _plus(work, 0, value)


def together(work: Work, *parts: Any) -> str | None:
    """`~`: the texts of the parts."""
    if None in parts:
        return None
    return glued(work, [shown(work, part) for part in parts])


def glued(work: Work, texts: list[str] | tuple[str, ...]) -> str:
    check_text(work, sum(map(len, texts)))
    return "".join(texts)


def entry(work: Work, holder: Any, key: Any) -> Any:
    """holder[key]: of a map, a list or a text; missing where there is none."""
    kind = type(holder)
    if kind is dict:
        return None if type(key) in _HELD else holder.get(key)
    if kind is list or kind is str:
        place = whole(key)
        if type(place) is int and -len(holder) <= place < len(holder):
            return holder[place]
    return None


def cut(work: Work, holder: Any, start: Any, stop: Any, step: Any) -> Any:
    """holder[start:stop:step]. OPEN where nothing is written."""
    if holder is None or start is None or stop is None or step is None:
        return None
    if type(holder) not in (list, str):
        raise ExpressionFailed(f"{kind_of(holder)} has no parts from one place to another")
    bounds = [None if each is OPEN else whole(each) for each in (start, stop, step)]
    if any(each is not None and type(each) is not int for each in bounds):
        raise ExpressionFailed("the places between [ and ] are whole numbers")
    if bounds[2] == 0:
        raise ExpressionFailed("the step between [ and ] cannot be 0")
    spend(work, ITEM * len(holder) if type(holder) is list else len(holder) >> 2)
    return holder[slice(*bounds)]


def listed(*items: Any) -> list[Any] | None:
    """[a, b]: missing as a whole where one of them is."""
    return None if None in items else list(items)


def mapped(*pairs: Any) -> dict[Any, Any] | None:
    """{a: b}, given as a, b and so on: missing as a whole where one of them is. Errors: ExpressionFailed."""
    if None in pairs:
        return None
    if any(type(key) in _HELD for key in pairs[::2]):
        raise ExpressionFailed("a map or list cannot be the key of a map")
    return dict(zip(pairs[::2], pairs[1::2], strict=True))
