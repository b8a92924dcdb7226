"""The times that a message tells, written so that whoever reads them later needs to know nothing of its device.

A time that is read is ISO 8601 text in UTC from then on. One that nobody can read stays as it came: what needs it says
so then, and nothing of the message is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from hubqueue.errors import Invalid
from hubqueue.model.moment import NoTime, TimeFormat

USUAL: Final = ("time", "Time", "timestamp", "ts", "at")  # fields that hold a time when nobody says which do

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

Rewrite = Callable[[object], object]


def in_utc(fields: Sequence[str], format: TimeFormat) -> Rewrite:
    """What rewrites these fields (names, or names with dots) of a map that was just made. Errors: Invalid."""
    paths = [tuple(field.split(".")) for field in fields or USUAL]
    for path in paths:
        if not all(path):
            raise Invalid(
                f"field {'.'.join(path)!r} is not valid", hint="write a name, or names with dots: ENERGY.Time"
            )

    def rewrite(value: object) -> object:
        for path in paths:
            _rewrite(value, path, format)
        return value

    return rewrite


def _rewrite(value: Any, path: tuple[str, ...], format: TimeFormat) -> None:
    for key in path[:-1]:
        if type(value) is not dict:
            return
        value = value.get(key)
    if type(value) is not dict:
        return
    found = value.get(path[-1])
    if found is None:
        return
    try:
        value[path[-1]] = _text(format.ns(found))
    except NoTime:
        pass


def _text(ns: int) -> str:
    """With the digits that it has: a time loses none."""
    text = (_EPOCH + timedelta(microseconds=ns // 1000)).isoformat().removesuffix("+00:00")
    if ns % 1000:
        text = f"{text if '.' in text else text + '.000000'}{ns % 1000:03}"
    return f"{text}Z"
