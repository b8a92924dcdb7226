"""Filters and functions that calculate."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final

from hubqueue.expression.fault import ExpressionFailed
from hubqueue.expression.numbers import NUMBERS, bounded, number_in, power, to_number, whole_in
from hubqueue.expression.work import Work
from hubqueue.model.kinds import kind_of

_MAX_DIGITS: Final = 100  # round() would write out as many
_MAX_CHARS: Final = 400  # of a text that is read as a number: int() takes quadratic time
_NONE_GIVEN: Final = object()


def absolute(work: Work, value: Any) -> Any:
    return bounded(abs(number_in(value, "abs")))


def rounded(work: Work, value: Any, precision: Any = 0, method: Any = "common") -> Any:
    number, digits = number_in(value, "round"), whole_in(precision, "round")
    if not -_MAX_DIGITS <= digits <= _MAX_DIGITS:
        raise ExpressionFailed(f"round takes up to {_MAX_DIGITS} digits")
    if method == "common":
        try:
            return bounded(round(number, digits))
        except (OverflowError, ValueError):  # of an infinity, or NaN
            raise ExpressionFailed("the result is not a finite number") from None
    if method not in ("ceil", "floor"):
        raise ExpressionFailed("round takes 'common', 'ceil' or 'floor'")
    step = math.ceil if method == "ceil" else math.floor
    factor = power(10, digits)
    return _calculated("round", lambda: step(number * factor) / factor)


def number(work: Work, value: Any) -> Any:
    try:
        return to_number(value)
    except ValueError as error:
        what = "text" if type(value) is str else kind_of(value)
        reason = f": {error}" if str(error) != "not a number" else ""
        raise ExpressionFailed(f"{what} is not a number{reason}") from None


def to_int(work: Work, value: Any, default: Any = _NONE_GIVEN, base: Any = 10) -> Any:
    """Numbers lose what is behind the point; what is none is the default, 0 if there is none."""
    if value is None:
        return None if default is _NONE_GIVEN else default
    if base is None:
        return None
    places = whole_in(base, "int")
    if type(value) is str and len(value) <= _MAX_CHARS:
        text = value.strip()
        if places != 10:
            if not 2 <= places <= 36:
                raise ExpressionFailed("int takes a base from 2 to 36")
            try:
                return bounded(int(text, places))
            except ValueError:
                return 0 if default is _NONE_GIVEN else default
        value = _read(text)
    if type(value) in NUMBERS and math.isfinite(value):
        return bounded(int(value))
    return 0 if default is _NONE_GIVEN else default


def to_float(work: Work, value: Any, default: Any = _NONE_GIVEN) -> Any:
    """What is no number is the default, 0.0 if there is none."""
    if value is None:
        return None if default is _NONE_GIVEN else default
    if type(value) is str and len(value) <= _MAX_CHARS:
        value = _read(value.strip())
    if type(value) in NUMBERS and math.isfinite(value):
        return float(value)
    return 0.0 if default is _NONE_GIVEN else default


def _read(text: str) -> Any:
    try:
        return to_number(text)
    except ValueError:
        return None


def _calculated(name: str, calculate: Callable[[], Any]) -> Any:
    try:
        return bounded(calculate())
    except OverflowError:
        raise ExpressionFailed("the number is too large") from None
    except ZeroDivisionError:
        raise ExpressionFailed("cannot divide by 0") from None
    except ValueError:
        raise ExpressionFailed(f"{name} has no result for this number") from None


def of_one(name: str, calculate: Callable[[Any], Any]) -> Callable[[Work, Any], Any]:
    """A function of one number."""

    def run(work: Work, value: Any) -> Any:
        found = number_in(value, name)
        return _calculated(name, lambda: calculate(found))

    return run


def logarithm(work: Work, value: Any, base: Any = math.e) -> Any:
    number, below = number_in(value, "log"), number_in(base, "log")
    return _calculated("log", lambda: math.log(number) if below == math.e else math.log(number, below))


def arctangent(work: Work, y: Any, x: Any) -> Any:
    return bounded(math.atan2(_calculated("atan2", lambda: float(number_in(y, "atan2"))), number_in(x, "atan2")))
