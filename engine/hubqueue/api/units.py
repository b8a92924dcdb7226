"""The units of the public surface. One rule: a duration is seconds or a timedelta, a moment is an aware datetime
or Unix seconds. Inside, everything is whole milliseconds.
"""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta

from hubqueue.errors import Invalid

Duration = float | timedelta
Moment = float | datetime


def duration_ms(name: str, value: Duration) -> int:
    """Milliseconds. Errors: Invalid names the option."""
    if isinstance(value, timedelta):
        return round(value / timedelta(milliseconds=1))
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Invalid(f"{name} must be seconds or a timedelta, not {value!r}")
    return round(value * 1000)


def moment_ms(name: str, value: Moment) -> int:
    """Unix milliseconds. Errors: Invalid names the option."""
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise Invalid(f"{name} must know its time zone", hint="use datetime.now(UTC) or datetime.astimezone()")
        return round(value.timestamp() * 1000)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise Invalid(f"{name} must be Unix seconds or an aware datetime, not {value!r}")
    return round(value * 1000)


def moment(ms: int | None) -> datetime | None:
    """The datetime of Unix milliseconds, in UTC."""
    return None if ms is None else datetime.fromtimestamp(ms / 1000, UTC)
