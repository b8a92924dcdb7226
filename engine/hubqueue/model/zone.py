"""Time zones by their names. The one place that knows what can go wrong with a name."""

from __future__ import annotations

from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from hubqueue.errors import Invalid

HINT = "as in Europe/Berlin or UTC"


def zone_of(name: str) -> ZoneInfo:
    """The zone of this name in the tz database. Errors: Invalid."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:  # OSError: `Europe` is a folder
        raise Invalid(f"{name[:80]!r} is not a time zone that is known here", hint=HINT) from error
