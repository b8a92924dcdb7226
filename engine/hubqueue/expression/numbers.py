"""What a number is, in expressions and in steps, and how one is read out of text."""

from __future__ import annotations

import math
from typing import Any, Final

from hubqueue.errors import Undecodable
from hubqueue.expression.fault import ExpressionFailed
from hubqueue.model.cells import read_number
from hubqueue.model.kinds import kind_of

NUMBERS: Final = frozenset({int, float, bool})  # true counts as 1 where it is calculated with
EXACT: Final = 2**53  # whole floats below it are whole numbers
_LARGEST: Final = 2**1023  # beyond it a float has no room, and whole numbers would grow for ever
_TOO_LARGE: Final = "the number is too large"


def is_number(value: object) -> bool:
    """Whether one can calculate with it: an int or a float; neither true, false, NaN nor an infinity."""
    kind = type(value)
    return kind is int or (kind is float and math.isfinite(value))  # type: ignore[arg-type]


def to_number(value: object) -> int | float:
    """The number, or the number that this text is. Errors: ValueError."""
    if is_number(value):
        return value  # type: ignore[return-value]
    try:
        found = read_number(value.strip()) if isinstance(value, str) else None
    except Undecodable as error:
        raise ValueError(error.message) from error
    if found is None:
        raise ValueError("not a number")
    return found


def whole(value: Any) -> Any:
    """A whole float as the int that it is, so that 5 and 5.0 are one thing; any other value as it is."""
    return int(value) if type(value) is float and value.is_integer() and abs(value) < EXACT else value


def bounded(value: Any) -> Any:
    """A number that came out of a calculation. Errors: ExpressionFailed for what is too large, or no number."""
    if type(value) is float:
        if not math.isfinite(value):
            raise ExpressionFailed("the result is not a finite number")
    elif not -_LARGEST < value < _LARGEST:
        raise ExpressionFailed(_TOO_LARGE)
    return value


def power(base: Any, exponent: Any) -> Any:
    """Never works on a number that is larger than what may come out of it. Errors: ExpressionFailed."""
    if type(base) is not float and type(exponent) is not float:
        if base == 0 and exponent < 0:
            raise ExpressionFailed("cannot divide by 0")
        if abs(exponent) * int(abs(base)).bit_length() > 1023 and abs(base) > 1:
            raise ExpressionFailed(_TOO_LARGE)
        if abs(exponent) > EXACT:
            exponent = exponent % 2  # of 1 and -1 only even or odd counts
    found = base**exponent
    if type(found) is complex:
        raise ExpressionFailed("a negative number has no power that is not whole")
    return found


def number_in(value: Any, doing: str) -> Any:
    """A number that a filter or function takes. Errors: ExpressionFailed."""
    if type(value) not in NUMBERS:
        raise ExpressionFailed(f"{doing} takes a number, not {kind_of(value)}")
    return value


def whole_in(value: Any, doing: str) -> int:
    """A whole number that a filter or function takes. Errors: ExpressionFailed."""
    if type(value) is int:
        return value
    found = whole(value)
    if type(found) is not int:
        what = "a broken one" if type(value) is float else kind_of(value)
        raise ExpressionFailed(f"{doing} takes a whole number, not {what}")
    return found
