"""The time that data says of itself, read by this one piece of code: for windows, flags, rows, points and records.

Rules:
- Text is ISO 8601 with its hyphens and colons. Without an offset it is local time of `zone`. A time that the clocks
  jumped over when they were put forward is as much later; of one that came twice the first is meant.
- A number counts from 1970 in `unit`; without one its size says the unit, as the bounds below have it. Text that is
  a number is that number, never a date.
- What is said beyond the years FIRST to LAST is no time of a reading, but a mistake.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final, Literal

from hubqueue.errors import Undecodable
from hubqueue.model.cells import read_number
from hubqueue.model.kinds import kind_of

Unit = Literal["s", "ms", "us", "ns"]

PER_UNIT: Final[Mapping[Unit, int]] = {"s": 10**9, "ms": 10**6, "us": 1000, "ns": 1}  # nanoseconds
# From here on a number is of the finer unit. 1e11 s is the year 5138 and 1e11 ms is 1973; the same for the others.
FIRST_MS: Final = 10**11
FIRST_US: Final = 10**14
FIRST_NS: Final = 10**17

FIRST: Final = datetime(1900, 1, 1, tzinfo=UTC)
LAST: Final = datetime(2261, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)  # nanoseconds in 64 bits end in 2262

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_FIRST_NS: Final = (FIRST - _EPOCH) // _MICROSECOND * 1000
_LAST_NS: Final = (LAST - _EPOCH) // _MICROSECOND * 1000 + 999
_LAST_MS: Final = _LAST_NS // 10**6
_SHOWN_CHARS: Final = 40

_ISO: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)"
    r"(?:[Tt ](\d\d)(?::(\d\d)(?::(\d\d)(?:[.,](\d+))?)?)?"
    r" ?(?:([Zz]|UTC|GMT)|([+-])(\d\d)(?::?(\d\d))?)?)?\Z",
    re.ASCII,
)
_DAY_FIRST: Final = re.compile(r"\d{1,2}[./-]\d{1,2}[./-]\d{2,4}(?!\d)", re.ASCII)
_EXAMPLE: Final = "as in 2026-11-30T22:47:23+01:00"


class NoTime(ValueError):
    """This value says no time; the text says why, in words for people, and names the value."""


@dataclass(frozen=True, slots=True)
class TimeFormat:
    """How times are said: the zone of text that names none, and the unit of numbers. unit None: by their size."""

    zone: tzinfo = UTC
    unit: Unit | None = None

    def __str__(self) -> str:
        return str(self.zone) if self.unit is None else f"{self.zone} {self.unit}"

    def at(self, value: Any) -> datetime:
        """The moment in UTC, to the microsecond below. Errors: NoTime."""
        return _EPOCH + timedelta(microseconds=self.ns(value) // 1000)

    def ms(self, value: Any) -> int:
        """Unix milliseconds, of what is finer those below. Errors: NoTime."""
        if type(value) is int and self.unit is None and FIRST_MS <= value < FIRST_US and value <= _LAST_MS:
            return value
        return self.ns(value) // 1_000_000

    def ns(self, value: Any) -> int:
        """Unix nanoseconds. Errors: NoTime."""
        if isinstance(value, str):
            found = self._of_usual_text(value)
            if found is None:
                found = self._of_text(value)
        elif isinstance(value, datetime):
            found = _unix_ns(value, self.zone)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found = self._of_number(value)
        else:
            raise NoTime(f"{_kind(value)} is no time")
        if not _FIRST_NS <= found <= _LAST_NS:
            raise NoTime(f"{_shown(value)} is beyond the years {FIRST.year} to {LAST.year}")
        return found

    def _of_usual_text(self, text: str) -> int | None:
        """What nearly all devices send, several times quicker; None for any other text."""
        if not 19 <= len(text) <= 32 or text[10] not in "T " or text[4] != "-" or text[13] != ":":
            return None
        if text[26:27].isdigit():  # finer than a datetime is
            return None
        try:
            return _unix_ns(datetime.fromisoformat(text), self.zone)
        except ValueError:
            return None

    def _of_text(self, value: str) -> int:
        text = value.strip()
        try:
            number = read_number(text)
        except Undecodable as error:
            raise NoTime(f"{_shown(value)} is no time: {error.message}") from None
        if number is not None:
            return self._of_number(number)
        found = _ISO.match(text)
        if found is None:
            if _DAY_FIRST.match(text):
                raise NoTime(f"{_shown(value)} does not begin with the year, so day and month cannot be told apart")
            raise NoTime(f"{_shown(value)} is no ISO 8601 time, {_EXAMPLE}")
        try:
            return _of_iso(found, self.zone)
        except OverflowError:
            raise NoTime(f"{_shown(value)} is beyond the years {FIRST.year} to {LAST.year}") from None
        except ValueError:
            raise NoTime(f"{_shown(value)} is a time that does not exist") from None

    def _of_number(self, value: int | float) -> int:
        if not 0 <= value < math.inf:  # NaN is not, either
            raise NoTime(f"{_shown(value)} is no time since 1970")
        if value > _LAST_NS:
            raise NoTime(f"{_shown(value)} is beyond the years {FIRST.year} to {LAST.year}")
        per = PER_UNIT[self.unit or _unit_of(value)]
        # A float has no nanoseconds; rounded to microseconds it is what was printed, 1764072000.123 for one.
        return value * per if isinstance(value, int) else round(value * (per / 1000)) * 1000


DEFAULT: Final = TimeFormat()


def _unit_of(value: int | float) -> Unit:
    if value < FIRST_MS:
        return "s"
    if value < FIRST_US:
        return "ms"
    return "us" if value < FIRST_NS else "ns"


def _of_iso(found: re.Match[str], zone: tzinfo) -> int:
    """Errors: ValueError, OverflowError."""
    year, month, day, hour, minute, second = (int(part or 0) for part in found.groups()[:6])
    fraction, utc, sign, hours, minutes = found.groups()[6:]
    nanoseconds = int((fraction or "0")[:9].ljust(9, "0"))
    midnight = hour == 24 and not (minute or second or nanoseconds)
    leap = second == 60  # a second that is inserted is, to Unix, the one after it
    said = datetime(year, month, day, 0 if midnight else hour, minute, 59 if leap else second)
    said += timedelta(days=midnight)
    if sign is not None:
        if int(hours) > 23 or int(minutes or 0) > 59:
            raise ValueError
        offset = timedelta(hours=int(hours), minutes=int(minutes or 0))
        said -= offset if sign == "+" else -offset
    return _unix_ns(said, zone if sign is utc is None else UTC) + leap * 10**9 + nanoseconds


def _unix_ns(value: datetime, zone: tzinfo) -> int:
    """Errors: OverflowError."""
    said = value if value.tzinfo is not None else value.replace(tzinfo=zone)
    return (said - _EPOCH) // _MICROSECOND * 1000


def _shown(value: Any) -> str:
    """Cut short, and never so large that it cannot be shown at all."""
    if isinstance(value, str):
        told = repr(value[: _SHOWN_CHARS + 1])  # an odd character is told by up to ten
        return told if len(told) <= _SHOWN_CHARS + 2 else f"{told[: _SHOWN_CHARS + 1]}...'"
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, int) and abs(value) >= 10**_SHOWN_CHARS:
        return "a number of more than 40 digits"
    return {"nan": "NaN", "inf": "infinity", "-inf": "-infinity"}.get(text := str(value), text)


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return kind_of(value)
