"""The time that a record says of itself: ISO text, or seconds or milliseconds since 1970."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from hubqueue.expression import is_number
from hubqueue.pipeline.record import Refused

# 1e11 s is the year 5138, 1e11 ms is 1973: numbers from here on are milliseconds.
_FIRST_MS: Final = 100_000_000_000
_LAST_MS: Final = 253_402_300_799_999  # the end of the year 9999, the last that ISO text can say


def time_ms(value: Any) -> int:
    """Unix milliseconds. Text without a time zone is UTC. Errors: Refused."""
    found: int
    if is_number(value):
        found = round(value if abs(value) >= _FIRST_MS else value * 1000)
    elif isinstance(value, str):
        try:
            read = datetime.fromisoformat(value.strip())
        except ValueError:
            raise Refused(f"its time is no ISO 8601 time: {value[:40]!r}") from None
        found = _of(read)
    elif isinstance(value, datetime):
        found = _of(value)
    else:
        raise Refused(f"its time is neither text nor a number, but {type(value).__name__}")
    if not 0 <= found <= _LAST_MS:
        raise Refused("its time is before 1970 or after 9999")
    return found


def _of(moment: datetime) -> int:
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    try:
        return round(aware.timestamp() * 1000)
    except (ValueError, OverflowError):
        raise Refused("its time is before 1970 or after 9999") from None
