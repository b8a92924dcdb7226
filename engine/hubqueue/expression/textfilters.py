"""Filters and methods that make text of text. What they make is bounded before it is made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final
from urllib.parse import quote

from hubqueue.expression.fault import ExpressionFailed
from hubqueue.expression.numbers import whole_in
from hubqueue.expression.shown import json_text, shown
from hubqueue.expression.work import ITEM, Work, check_text, check_width, spend, spend_chars


def text_in(work: Work, value: Any) -> str:
    """The text of a value that is about to be searched or copied."""
    text = shown(work, value)
    check_text(work, len(text))
    return text


def walked(work: Work, value: Any) -> str:
    """The text of a value whose characters are about to be looked at one by one."""
    text = text_in(work, value)
    spend(work, len(text) >> 3)
    return text


def plain(change: Callable[[str], str]) -> Callable[[Work, Any], str]:
    """A filter without arguments, whose result is about as long as its input."""

    def run(work: Work, value: Any) -> str:
        return change(walked(work, value))

    return run


upper: Final = plain(str.upper)
lower: Final = plain(str.lower)
title: Final = plain(str.title)
capitalize: Final = plain(str.capitalize)


def string(work: Work, value: Any) -> str:
    return shown(work, value)


def trim(work: Work, value: Any, chars: Any = " \t\n\r\f\v") -> str:
    return walked(work, value).strip(_short(work, chars))


def trim_left(work: Work, value: Any, chars: Any = " \t\n\r\f\v") -> str:
    return walked(work, value).lstrip(_short(work, chars))


def trim_right(work: Work, value: Any, chars: Any = " \t\n\r\f\v") -> str:
    return walked(work, value).rstrip(_short(work, chars))


def replace(work: Work, value: Any, old: Any, new: Any, count: Any = -1) -> str:
    text, old, new = text_in(work, value), shown(work, old), shown(work, new)
    most = whole_in(count, "replace")
    found = text.count(old) if most < 0 else min(most, text.count(old))
    check_text(work, len(text) + found * (len(new) - len(old)))
    return text.replace(old, new, found)


def center(work: Work, value: Any, width: Any = 80, fill: Any = " ") -> str:
    return text_in(work, value).center(_width(width, "center"), _fill(fill))


def left(work: Work, value: Any, width: Any, fill: Any = " ") -> str:
    return text_in(work, value).ljust(_width(width, "ljust"), _fill(fill))


def right(work: Work, value: Any, width: Any, fill: Any = " ") -> str:
    return text_in(work, value).rjust(_width(width, "rjust"), _fill(fill))


def zeros(work: Work, value: Any, width: Any) -> str:
    return text_in(work, value).zfill(_width(width, "zfill"))


def indent(work: Work, value: Any, width: Any = 4, first: Any = False, blank: Any = False) -> str:
    text, before = text_in(work, value), " " * check_width(max(0, whole_in(width, "indent")))
    lines = text.splitlines(keepends=True)
    check_text(work, len(text) + len(lines) * len(before))
    made = [before + line if line.strip() or blank else line for line in lines]
    return "".join(made) if first else "".join([*lines[:1], *made[1:]])


def truncate(
    work: Work, value: Any, length: Any = 255, killwords: Any = False, end: Any = "...", leeway: Any = 5
) -> str:
    text, tail = text_in(work, value), shown(work, end)
    most, more = whole_in(length, "truncate"), whole_in(leeway, "truncate")
    if most < len(tail) or more < 0:
        raise ExpressionFailed("truncate needs a length that has room for its end")
    if len(text) <= most + more:
        return text
    kept = text[: most - len(tail)]
    return (kept if killwords else kept.rsplit(" ", 1)[0]) + tail


def wordcount(work: Work, value: Any) -> int:
    return len(split(work, shown(work, value)))


def urlencode(work: Work, value: Any) -> str:
    """Percent-encoded but for slashes; a map becomes a query."""
    if type(value) is dict:
        pairs = [(key, each) for key, each in value.items() if each is not None]
        spend(work, ITEM * len(pairs))
        return "&".join(f"{_quoted(work, key, '')}={_quoted(work, each, '')}" for key, each in pairs)
    return _quoted(work, value, "/")


def tojson(work: Work, value: Any) -> str:
    return json_text(work, value) if type(value) in (list, dict, str) else shown(work, value)


def split(work: Work, value: Any, at: Any = "", most: Any = -1) -> list[str]:
    text, at = text_in(work, value), shown(work, at)
    spend(work, ITEM * (text.count(at) if at else len(text) >> 2))
    return text.split(at or None, whole_in(most, "split"))


def split_from_right(work: Work, value: Any, at: Any = "", most: Any = -1) -> list[str]:
    text, at = text_in(work, value), shown(work, at)
    spend(work, ITEM * (text.count(at) if at else len(text) >> 2))
    return text.rsplit(at or None, whole_in(most, "rsplit"))


def lines(work: Work, value: Any) -> list[str]:
    text = text_in(work, value)
    spend(work, len(text) >> 2)
    return text.splitlines()


def starts(work: Work, value: Any, start: Any) -> bool:
    return text_in(work, value).startswith(shown(work, start))


def ends(work: Work, value: Any, end: Any) -> bool:
    return text_in(work, value).endswith(shown(work, end))


def find(work: Work, value: Any, part: Any) -> int:
    return text_in(work, value).find(shown(work, part))


def find_last(work: Work, value: Any, part: Any) -> int:
    return text_in(work, value).rfind(shown(work, part))


def without_prefix(work: Work, value: Any, start: Any) -> str:
    return text_in(work, value).removeprefix(shown(work, start))


def without_suffix(work: Work, value: Any, end: Any) -> str:
    return text_in(work, value).removesuffix(shown(work, end))


def partition(work: Work, value: Any, at: Any) -> list[str]:
    return list(text_in(work, value).partition(_some(shown(work, at), "partition")))


def partition_last(work: Work, value: Any, at: Any) -> list[str]:
    return list(text_in(work, value).rpartition(_some(shown(work, at), "rpartition")))


def _quoted(work: Work, value: Any, safe: str) -> str:
    text = shown(work, value)
    check_text(work, 12 * len(text))  # four bytes, three characters each
    return quote(text, safe=safe, errors="replace")


def _short(work: Work, chars: Any) -> str:
    """Every character of the text is looked for in these."""
    found = shown(work, chars)
    if len(found) > 100:
        raise ExpressionFailed("trim takes up to 100 characters")
    return found


def _width(width: Any, doing: str) -> int:
    return check_width(whole_in(width, doing))


def _fill(fill: Any) -> str:
    if type(fill) is not str or len(fill) != 1:
        raise ExpressionFailed("a text is filled up with one character")
    return fill


def _some(text: str, doing: str) -> str:
    if not text:
        raise ExpressionFailed(f"{doing} needs a text to look for")
    return text


def counted(work: Work, value: Any, part: Any) -> int:
    """How often: a part in a text, an item in a list."""
    if type(value) is list:
        spend(work, ITEM * len(value))
        return sum(1 for each in value if each == part)
    spend_chars(work, len(shown(work, value)))
    return shown(work, value).count(shown(work, part))
