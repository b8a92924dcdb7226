"""When a schedule fires next, for its page and for whoever types a cron pattern."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from hubqueue.model.schedule import next_match_ms, zone

SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class NextRun:
    """One time, as it is on the clocks of the schedule's zone."""

    at_ms: int
    local: datetime
    zone: str  # as it is called at that time, "CET"


def cron_fires(pattern: str, timezone: str | None, after_ms: int, count: int = SHOWN) -> list[NextRun]:
    """The next fires of a pattern. Errors: Invalid for a pattern or time zone that is none."""
    found: list[NextRun] = []
    at_ms = after_ms
    while len(found) < count:
        match = next_match_ms(pattern, timezone, at_ms)
        if match is None:
            break
        found.append(fire(match, timezone))
        at_ms = match
    return found


def every_fires(first_ms: int, every_ms: int, timezone: str | None, count: int = SHOWN) -> list[NextRun]:
    """The next fires of an interval that fires at first_ms."""
    return [fire(first_ms + turn * every_ms, timezone) for turn in range(count)]


def fire(at_ms: int, timezone: str | None) -> NextRun:
    """A time in a zone. Errors: Invalid."""
    local = datetime.fromtimestamp(at_ms / 1000, tz=zone(timezone))
    return NextRun(at_ms, local, local.tzname() or "UTC")
