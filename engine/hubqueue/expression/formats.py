"""Text by a pattern: '%.1f'|format(x) and '{:.1f}'.format(x). A pattern may come from the data, so it is read here:
widths are bounded, and nothing is reached through it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any, Final

from hubqueue.expression.fault import ExpressionFailed
from hubqueue.expression.numbers import number_in, whole, whole_in
from hubqueue.expression.operators import glued
from hubqueue.expression.shown import shown
from hubqueue.expression.work import CALL, Work, check_text, check_width, spend

_PERCENT: Final = re.compile(
    r"%(?:%|[-+ #0]{0,5}(?P<width>\d{0,6})(?:\.(?P<digits>\d{0,6}))?(?P<kind>[a-zA-Z]))?", re.ASCII
)
_BRACES: Final = re.compile(r"\{\{|\}\}|\{(?P<place>\d{0,4})(?::(?P<form>[^{}]*))?\}|[{}]")
_FORM: Final = re.compile(
    r"(?:.?[<>=^])?[-+ ]?#?0?(?P<width>\d{0,6})[,_]?(?:\.(?P<digits>\d{1,6}))?(?P<kind>[bcdeEfFgGnosxX%]?)\Z", re.DOTALL
)
_MAX_DIGITS: Final = 100
_WHOLE: Final = frozenset("bcdioxX")
_FLOATS: Final = frozenset("eEfFgG%n")


def by_percent(work: Work, value: Any, *given: Any) -> str:
    """printf. Errors: ExpressionFailed."""
    return _filled(work, shown(work, value), _PERCENT, _Percent(work, given))


def by_braces(work: Work, value: Any, *given: Any) -> str:
    """str.format with values by their place. Errors: ExpressionFailed."""
    return _filled(work, shown(work, value), _BRACES, _Braces(work, given))


class _Given:
    """The values that a pattern asks for, one after the other or by place."""

    def __init__(self, work: Work, given: Sequence[Any]) -> None:
        self.work: Final = work
        self._given: Final = given
        self._next = 0

    def take(self, place: str = "") -> Any:
        at = int(place) if place else self._next
        self._next += not place
        if at >= len(self._given):
            raise ExpressionFailed(f"the pattern asks for more values than the {len(self._given)} that it gets")
        return self._given[at]


class _Percent(_Given):
    def __call__(self, found: re.Match[str]) -> str:
        if found[0] == "%%":
            return "%"
        kind = found["kind"]
        if kind is None or kind not in "sdiufFeEgGxXo":
            raise ExpressionFailed("in a pattern '%' is followed by s, d, f, e, g, x or o; '%%' is the sign itself")
        _check_sizes(found)
        value = _fitting(self.work, self.take(), "d" if kind == "u" else kind)
        return found[0] % (value,)


class _Braces(_Given):
    def __call__(self, found: re.Match[str]) -> str:
        if found[0] in ("{{", "}}"):
            return found[0][0]
        if found["place"] is None:
            raise ExpressionFailed("in a pattern braces hold nothing, a number, or a format: '{}', '{0}', '{:.1f}'")
        value, form = self.take(found["place"]), found["form"] or ""
        read = _FORM.match(form)
        if read is None:
            raise ExpressionFailed(f"{form[:40]!r} is no format, as .1f or >8 is one")
        _check_sizes(read)
        value = _fitting(self.work, value, read["kind"] or ("" if type(value) in (int, float) and form else "s"))
        try:
            return format(value, form)
        except (ValueError, OverflowError):
            raise ExpressionFailed(f"{form[:40]!r} does not fit the value") from None


def _filled(work: Work, pattern: str, parts: re.Pattern[str], fill: Callable[[re.Match[str]], str]) -> str:
    check_text(work, len(pattern))
    made: list[str] = []
    at = 0
    for found in parts.finditer(pattern):
        spend(work, CALL)
        made += (pattern[at : found.start()], fill(found))
        check_text(work, len(made[-1]))
        at = found.end()
    return glued(work, [*made, pattern[at:]])


def _check_sizes(found: re.Match[str]) -> None:
    check_width(int(found["width"] or 0))
    if int(found["digits"] or 0) > _MAX_DIGITS:
        raise ExpressionFailed(f"a number is written with up to {_MAX_DIGITS} digits behind the point")


def _fitting(work: Work, value: Any, kind: str) -> Any:
    if type(value) is float and not math.isfinite(value):
        raise ExpressionFailed("a number that is not finite cannot be written as text")
    if kind in _WHOLE and kind:
        found = whole(value)
        return int(number_in(found, "the pattern")) if kind in "di" else whole_in(found, "the pattern")
    if kind in _FLOATS and kind:
        return float(number_in(value, "the pattern"))
    return value if kind == "" else shown(work, value)
