"""Durations of actions and triggers: `5s`, `1.5h`, seconds, `00:05:00`, or days, hours, minutes and seconds."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any, Final

import probatio as vol
from homeassistant.helpers import config_validation as cv

_UNITS: Final = {"ms": 0.001, "s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}  # as the hub's YAML
SPAN_KEYS: Final = {"days", "hours", "minutes", "seconds", "milliseconds"}
_WRONG: Final = "must be a duration, as in 500ms, 10s, 5m, 2h or 7d, or seconds"
_AMOUNT: Final = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*")


def duration(value: Any) -> timedelta:
    """Errors: Invalid."""
    match = _AMOUNT.fullmatch(value) if isinstance(value, str) else None
    if match is not None and match[2].lower() in _UNITS:
        value = float(match[1]) * _UNITS[match[2].lower()]
    elif match is not None or isinstance(value, bool):
        raise vol.Invalid(_WRONG)
    try:
        span: timedelta = cv.positive_time_period(value)
    except OverflowError as error:  # Home Assistant before 2026.11 lets it pass
        raise vol.Invalid(_WRONG) from error
    return span


def within(low: timedelta, high: timedelta) -> vol.All[Any]:
    """A duration that is not shorter or longer than these."""
    return vol.All(duration, vol.Range(low, high))


def milliseconds(span: timedelta) -> int:
    return round(span.total_seconds() * 1000)
