"""How long and how often a job is tried if whoever makes it does not say: with what the hub's table calls it.

Rule: nothing is given up within seconds, or without a word, unless the caller says so. What has not succeeded at the
end of `keep_trying`, or with `attempts`, is a dead letter; only `ttl` removes, and the hub counts that.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from .job_options import ROWS, due_in

DAY: Final = timedelta(days=1)
LONGEST_SPAN: Final = timedelta(milliseconds=ROWS["keep_trying"]["max"])
FIRST: Final = timedelta(seconds=2.5)  # the hub waits twice as long, so 5 s: devices are there soon after a start
LONGEST: Final = timedelta(minutes=5)  # so soon after an outage what waits is tried
ENDLESS: Final = 2**31 - 1  # how the hub tells of attempts without a number
A_DAY_OF_ATTEMPTS: Final = 300  # with `LONGEST` between them


def patient(given: Mapping[str, Any], *, forwarded: bool = False) -> dict[str, Any]:
    """A job's options with those that say how long it is tried, where they were not given.

    forwarded: an uplink sends it on, whose outages are no failures: without `keep_trying` it waits for as long as they
    take.
    """
    return {**_end(given, forwarded), **given, "backoff": _backoff(given.get("backoff", {}))}


def _end(given: Mapping[str, Any], forwarded: bool) -> dict[str, Any]:
    if "attempts" in given or "keep_trying" in given:
        return {}
    # a day from when it is due, and what has a ttl until that is over at least
    span = DAY + due_in(given) + given.get("ttl", timedelta())
    return {"attempts": A_DAY_OF_ATTEMPTS} if forwarded or span > LONGEST_SPAN else {"keep_trying": span}


def _backoff(given: Mapping[str, Any]) -> dict[str, Any]:
    first = given.get("delay", FIRST)
    return {"type": "exponential", "delay": first, "max": max(LONGEST, min(2 * first, DAY)), **given}


def attempts_of(job: Mapping[str, Any]) -> int | None:
    """How many runs a job of the hub may have; None: as many as there is time for."""
    attempts = int(job["maxAttempts"])
    return None if attempts == ENDLESS else attempts
