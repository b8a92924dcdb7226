"""Hours: when something may happen, as windows of the week in local time. Pure; a forwarder "only at night" has them.

A window is `22:00-06:00`, or `sat,sun 08:00-20:00`, or `mon-fri 22:00-06:00`; one that ends at or before its start
ends on the next day, and its days are those it starts on. Local time follows the clocks of the zone: on the night
they change, a window is an hour longer or shorter.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, tzinfo
from typing import Final

import msgspec

from hubqueue.errors import Invalid
from hubqueue.model.zone import zone_of

DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MAX_WINDOWS: Final = 50  # more than a week of them is a mistake; each change of hours looks at all
DAY_MINUTES: Final = 1440
HINT: Final = "as in 22:00-06:00, or mon-fri 18:30-23:00"

_WINDOW: Final = re.compile(r"(?:([a-z,\- ]+?)\s+)?(\d{1,2}):(\d{2})\s*-\s*(\d{1,2}):(\d{2})\Z")


class Hours(msgspec.Struct, frozen=True):
    """Windows as people write them; timezone None: that of the hub, else UTC."""

    windows: tuple[str, ...]
    timezone: str | None = None

    def calendar(self, zone: str | None = None) -> Calendar:
        """Ready to be asked; `zone` is the hub's. Errors: Invalid."""
        if not self.windows:
            raise Invalid("a schedule needs at least one window", hint=HINT)
        if len(self.windows) > MAX_WINDOWS:
            raise Invalid(f"a schedule has at most {MAX_WINDOWS} windows")
        return Calendar([_parsed(text) for text in self.windows], _zone_or_utc(self.timezone or zone))


class Span(msgspec.Struct, frozen=True):
    """Whether it is open, and until when that holds; None: for good. Units: Unix milliseconds."""

    open: bool
    until_ms: int | None


class _Window(msgspec.Struct, frozen=True):
    days: frozenset[int]
    start: int  # minutes of the day
    end: int  # minutes after the start's midnight: may be the next day's


class Calendar:
    """Parsed windows in a time zone."""

    def __init__(self, windows: list[_Window], zone: tzinfo) -> None:
        self._windows = windows
        self._zone = zone

    def at(self, now_ms: int) -> Span:
        """What holds at this time."""
        today = datetime.fromtimestamp(now_ms / 1000, self._zone).date()
        for start_ms, end_ms in self._open_spans(today):
            if now_ms < start_ms:
                return Span(False, start_ms)
            if now_ms < end_ms:
                return Span(True, end_ms)
        return Span(False, None)  # not reached: every window comes round within a week

    def _open_spans(self, today: date) -> list[tuple[int, int]]:
        """The open times from yesterday to a week on, in order, those that touch made one."""
        found = []
        for offset in range(-1, 9):
            day = today + timedelta(days=offset)
            for window in self._windows:
                if day.weekday() in window.days:
                    start_ms, end_ms = self._instant(day, window.start), self._instant(day, window.end)
                    if start_ms < end_ms:  # else the clocks jumped over it
                        found.append((start_ms, end_ms))
        merged: list[tuple[int, int]] = []
        for start_ms, end_ms in sorted(found):
            if merged and start_ms <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(merged[-1][1], end_ms))
            else:
                merged.append((start_ms, end_ms))
        return merged

    def _instant(self, day: date, minutes: int) -> int:
        local = datetime(day.year, day.month, day.day) + timedelta(minutes=minutes)
        return int(local.replace(tzinfo=self._zone).timestamp() * 1000)


def check_window(text: object) -> None:
    """Errors: Invalid."""
    if not isinstance(text, str):
        raise Invalid("a window must be text", hint=HINT)
    _parsed(text)


def _parsed(text: str) -> _Window:
    found = _WINDOW.match(text.strip().lower())
    if found is None:
        raise Invalid(f"{text!r} is not a window of time", hint=HINT)
    start, end = _minutes(text, found[2], found[3]), _minutes(text, found[4], found[5])
    if start == DAY_MINUTES:
        raise Invalid(f"{text!r} starts at 24:00", hint="write 00:00")
    if start == end:
        raise Invalid(f"{text!r} has no length", hint="write 00:00-24:00 for the whole day")
    days = frozenset(range(7)) if found[1] is None else _days(text, found[1])
    return _Window(days, start, end if end > start else end + DAY_MINUTES)


def _minutes(text: str, hour: str, minute: str) -> int:
    minutes = int(hour) * 60 + int(minute)
    if int(minute) > 59 or minutes > DAY_MINUTES:
        raise Invalid(f"{text!r} has a time that does not exist", hint="from 00:00 to 24:00")
    return minutes


def _days(text: str, listed: str) -> frozenset[int]:
    days: set[int] = set()
    for part in listed.replace(" ", "").split(","):
        first, dash, last = part.partition("-")
        if first not in DAYS or (dash and last not in DAYS):
            raise Invalid(f"{text!r} names a day that does not exist", hint=", ".join(DAYS))
        start = DAYS.index(first)
        length = (DAYS.index(last) - start) % 7 if dash else 0
        days.update((start + offset) % 7 for offset in range(length + 1))
    return frozenset(days)


def _zone_or_utc(name: str | None) -> tzinfo:
    return UTC if name is None else zone_of(name)
