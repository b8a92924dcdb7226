"""The check of a time zone's name."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from hubqueue.config import checks
from hubqueue.config.mistakes import Wrong


def time_zone(value: Any) -> str:
    try:
        return ZoneInfo(checks.text(value)).key
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise Wrong("is not a time zone that is known here", value, hint="as in Europe/Berlin or UTC") from error
