"""Numbers, sizes, durations and times as a reader wants them. Pure: what is now is handed in."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import msgspec

from hubqueue.ui.text import Texts

SECOND: Final = 1000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
STEPS: Final = ((DAY, "unit.d"), (HOUR, "unit.h"), (MINUTE, "unit.min"), (SECOND, "unit.s"))
SIZES: Final = ("B", "kB", "MB", "GB", "TB")
LAST_MS: Final = 253_402_300_799_000  # the end of the year 9999; datetime knows no later time


class Moment(msgspec.Struct, frozen=True):
    """A time in a text. Units: Unix milliseconds."""

    at_ms: float


class Lasting(msgspec.Struct, frozen=True):
    """A length of time in a text. Units: milliseconds."""

    ms: float


class Size(msgspec.Struct, frozen=True):
    """An amount of data in a text. Units: bytes."""

    count: float


def number(t: Texts, value: float | None, digits: int = 0) -> str:
    """1,204 or 1.204. What is not known is a dash."""
    return "–" if value is None else t.number(value, digits)


def rate(t: Texts, value: float | None) -> str:
    """A rate with as many digits as say something: 0.02, 1.5, 120."""
    if value is None:
        return "–"
    digits = 0 if value >= 100 or value == int(value) else 1 if value >= 1 else 2
    return t.number(value, digits)


def size(t: Texts, count: float | None) -> str:
    """Bytes with a decimal unit: 1.2 MB."""
    if count is None:
        return "–"
    value, unit = float(count), SIZES[0]
    for unit in SIZES:  # the unit where it stops is the one to write
        if abs(value) < 1000 or unit == SIZES[-1]:
            break
        value /= 1000
    return f"{t.number(value, 0 if unit == SIZES[0] or value >= 100 else 1)} {unit}"


def duration(t: Texts, ms: float | None) -> str:
    """A length of time, in its one or two largest units: 250 ms, 1.5 s, 20 min, 3 h 5 min, 2 d 4 h."""
    if ms is None:
        return "–"
    if ms < SECOND:
        return t("unit.ms", n=t.number(ms, 0 if ms >= 10 or ms == int(ms) else 1))
    if ms < 10 * SECOND:
        return t("unit.s", n=t.number(ms / SECOND, 0 if ms % SECOND == 0 else 1))
    whole = int(ms)
    for place, (length, key) in enumerate(STEPS):
        if whole >= length:
            large = t(key, n=t.number(whole // length))
            rest = whole % length
            if length >= HOUR and whole < 10 * length and rest >= STEPS[place + 1][0]:
                smaller, small_key = STEPS[place + 1]
                return f"{large} {t(small_key, n=t.number(rest // smaller))}"
            return large
    return t("unit.s", n=t.number(whole / SECOND))


def ago(t: Texts, at_ms: float, now_ms: float) -> str:
    """When something was or will be, seen from now."""
    distance = now_ms - at_ms
    if abs(distance) < SECOND:
        return t("time.now")
    return t("time.ago" if distance > 0 else "time.in", duration=duration(t, abs(distance)))


def moment(at_ms: float) -> datetime:
    """Unix milliseconds as a time in UTC. Times that no calendar has become its ends."""
    return datetime.fromtimestamp(min(max(at_ms, 0), LAST_MS) / 1000, UTC)


def absolute(at_ms: float) -> str:
    """A time for those who want it exactly; the page's script turns it into local time."""
    return moment(at_ms).strftime("%Y-%m-%d %H:%M:%S UTC")


def machine(at_ms: float) -> str:
    """A time for the `datetime` attribute."""
    return moment(at_ms).isoformat(timespec="milliseconds")
