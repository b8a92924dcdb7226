"""Recurring rules and when they fire: cron patterns with an optional leading field of seconds, or an interval.

A pattern is read in its time zone; around daylight saving it behaves as Debian's cron does (cronsim): an hour
that is skipped fires at once after it, an hour that comes twice fires once.
"""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from typing import Final

import msgspec
from cronsim import CronSim, CronSimError

from hubqueue.errors import Invalid
from hubqueue.model.job import DEFAULT_ATTEMPTS, NewJob, Options
from hubqueue.model.limits import (
    MAX_COUNT,
    MAX_DELAY_MS,
    MAX_TIME_MS,
    check_int,
    check_new_job,
    check_queue,
    check_text,
)
from hubqueue.model.zone import zone_of

MAX_KEY_CHARS: Final = 256
MAX_PATTERN_CHARS: Final = 1024  # every minute, hour and day by its number takes some 350
MAX_ZONE_CHARS: Final = 64
SHORTCUTS: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


class Schedule(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """A recurring rule that enqueues. Exactly one of every_ms and cron.

    Units: *_ms milliseconds; next_run_at_ms Unix milliseconds. timezone: as asked for; zone: the one it is read in.
    overlap: fire although the job of the last fire has not ended. skip_missed: what was missed while the hub was
    down is not made up for; otherwise it is, by one job. worker_only: fire only while a worker serves the queue.
    """

    key: str
    queue: str
    name: str = "default"
    data: bytes | None = None
    priority: int = 0
    every_ms: int | None = None
    cron: str | None = None
    timezone: str | None = None
    zone: str | None = None
    immediately: bool = False
    overlap: bool = False
    skip_missed: bool = True
    worker_only: bool = False
    max_attempts: int = DEFAULT_ATTEMPTS
    delay_ms: int = 0
    options: Options | None = None
    next_run_at_ms: int | None = None
    runs: int = 0
    limit: int | None = None


def job_of(schedule: Schedule) -> NewJob:
    """The job that each run makes."""
    return NewJob(
        name=schedule.name,
        data=schedule.data,
        priority=schedule.priority,
        max_attempts=schedule.max_attempts,
        delay_ms=schedule.delay_ms,
        options=schedule.options,
    )


def check_schedule(schedule: Schedule) -> None:
    """Errors: Invalid, with what is wrong and where."""
    check_queue(schedule.queue)
    check_text("A schedule's key", schedule.key, MAX_KEY_CHARS)
    check_new_job(job_of(schedule))
    if schedule.cron is None and schedule.every_ms is None:
        raise Invalid("Cron job must have either schedule or repeatEvery")
    if schedule.every_ms is not None:
        check_int("repeatEvery", schedule.every_ms, 1, MAX_DELAY_MS)
    if schedule.limit is not None:
        check_int("maxLimit", schedule.limit, 1, MAX_COUNT)
    if schedule.timezone is not None:
        check_text("timezone", schedule.timezone, MAX_ZONE_CHARS)
    zone(schedule.zone)
    if schedule.cron is not None:
        check_text("schedule", schedule.cron, MAX_PATTERN_CHARS)
        if next_match_ms(schedule.cron, schedule.zone, 0) is None:
            raise Invalid("Invalid cron expression: Cron expression has no future occurrences")


def first_run_ms(schedule: Schedule, now_ms: int) -> int | None:
    """When a schedule that is put now fires first; None: never."""
    if schedule.immediately:
        return now_ms
    if schedule.cron is not None:
        return next_match_ms(schedule.cron, schedule.zone, now_ms)
    return now_ms + (schedule.every_ms or 0)


def next_run_ms(schedule: Schedule, fired_ms: int, now_ms: int) -> int | None:
    """The fire after the one that was due at `fired_ms`: in phase, and after now. None: there is none."""
    if schedule.cron is not None:
        return next_match_ms(schedule.cron, schedule.zone, max(fired_ms, now_ms))
    every = schedule.every_ms or 1
    missed = max(0, (now_ms - fired_ms) // every)
    return fired_ms + (missed + 1) * every


def next_match_ms(expression: str, timezone: str | None, after_ms: int) -> int | None:
    """The first time after `after_ms` that a pattern matches, in Unix milliseconds; None: not within 50 years.

    Errors: Invalid for a pattern or time zone that is none.
    """
    pattern = _normal(expression)
    start = datetime.fromtimestamp(after_ms / 1000, tz=zone(timezone))
    try:
        found = next(CronSim(pattern, start), None)
    except CronSimError as error:
        raise Invalid(f"Invalid cron expression: {error}", hint="minute hour day month weekday") from None
    if found is None:
        return None
    at_ms = round(found.timestamp() * 1000)
    return at_ms if at_ms <= MAX_TIME_MS else None


@lru_cache(maxsize=512)
def zone(name: str | None) -> tzinfo:
    """A time zone by its name; None is UTC.

    Errors: Invalid.
    """
    if name is None:
        return UTC
    try:
        return zone_of(name)
    except Invalid as error:
        raise Invalid(f"Invalid cron expression: unknown time zone {name!r}", hint=error.hint) from None


def _normal(expression: str) -> str:
    text = SHORTCUTS.get(expression.strip().lower(), expression.strip())
    if len(text.split()) not in (5, 6):
        raise Invalid(
            "Invalid cron expression: Cron expression must have 5 fields, or 6 fields with leading seconds",
            hint="minute hour day month weekday, with seconds before the minute if need be",
        )
    return text.upper()
