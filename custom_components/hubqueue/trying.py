"""How long and how often a job is tried: the fields of the actions that make jobs, their defaults, the hub's options.

Rule: nothing is given up within seconds, or without a word, unless the caller says so. What has not succeeded at the
end of `keep_trying`, or with `attempts`, is a dead letter; only `expires` removes, and the hub counts that.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

import probatio as vol
from homeassistant.helpers import config_validation as cv

DAY: Final = timedelta(days=1)
YEAR: Final = timedelta(days=365)  # the longest that a hub looks ahead
FIRST: Final = timedelta(seconds=5)  # a device that is not there yet right after a start is there soon
LONGEST: Final = timedelta(minutes=5)  # so soon after an outage what waits is tried
SHORTEST: Final = timedelta(milliseconds=100)  # a job that fails at once must not keep the hub busy
ENDLESS: Final = 2**31 - 1  # how the hub tells of attempts without a number
A_DAY_OF_ATTEMPTS: Final = 300  # with `LONGEST` between them

SPAN: Final = vol.All(cv.positive_time_period, vol.Range(timedelta(seconds=1), YEAR))
DELAY: Final = vol.All(cv.positive_time_period, vol.Range(max=YEAR))
TIMEOUT: Final = vol.All(cv.positive_time_period, vol.Range(max=DAY))
WAIT: Final = vol.All(cv.positive_time_period, vol.Range(SHORTEST, DAY))
FIELDS: Final[dict[Any, Any]] = {
    vol.Optional("keep_trying"): SPAN,
    vol.Optional("attempts"): vol.All(vol.Coerce(int), vol.Range(1, 1000)),
    vol.Optional("backoff"): WAIT,
    vol.Optional("max_backoff"): WAIT,
    vol.Optional("expires"): SPAN,
}


def options(given: Mapping[str, Any], *, forwarded: bool = False) -> dict[str, Any]:
    """The hub's options of a job with these fields (and `delay`).

    forwarded: an uplink sends it on, whose outages are no failures: without `keep_trying` it waits for as long as they
    take.
    """
    attempts, keep_trying, expires = given.get("attempts"), given.get("keep_trying"), given.get("expires")
    if attempts is None and keep_trying is None:
        # a day from when it is due, and what expires until then at least
        span = DAY + given.get("delay", timedelta()) + (expires or timedelta())
        if forwarded or span > YEAR:
            attempts = A_DAY_OF_ATTEMPTS
        else:
            keep_trying = span
    first = given.get("backoff", FIRST)
    longest = given.get("max_backoff") or max(LONGEST, first)
    fields: dict[str, Any] = {
        # the hub doubles it before the first wait
        "backoff": {"type": "exponential", "delay": milliseconds(first) / 2, "maxDelay": milliseconds(longest)}
    }
    if attempts is not None:
        fields["maxAttempts"] = attempts
    if keep_trying is not None:
        fields["keepTrying"] = milliseconds(keep_trying)
    if expires is not None:
        fields["ttl"] = milliseconds(expires)
    return fields


def attempts_of(job: Mapping[str, Any]) -> int | None:
    """How many runs a job of the hub may have; None: as many as there is time for."""
    attempts = int(job["maxAttempts"])
    return None if attempts == ENDLESS else attempts


def milliseconds(span: timedelta) -> int:
    return round(span.total_seconds() * 1000)
