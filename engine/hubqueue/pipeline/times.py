"""The time that a record says of itself, from 1970 to 9999."""

from __future__ import annotations

from typing import Any, Final

from hubqueue.model.moment import unix_ms
from hubqueue.pipeline.record import Refused

_LAST_MS: Final = 253_402_300_799_999  # the end of the year 9999, the last that ISO text can say


def time_ms(value: Any) -> int:
    """Unix milliseconds. Text without a time zone is UTC. Errors: Refused."""
    try:
        found = unix_ms(value)
    except (ValueError, OverflowError) as error:  # a zone may push a year beyond the last
        raise Refused(f"its time is {error}") from None
    if not 0 <= found <= _LAST_MS:
        raise Refused("its time is before 1970 or after 9999")
    return found
