"""Schedules: put, delete, fire. An interval keeps its phase: the next fire is counted from the last, not from now."""

from __future__ import annotations

import msgspec

from hubqueue.errors import DiskFull, Invalid, NotFound, QueueFull
from hubqueue.hub.verbs.enqueue import enqueue
from hubqueue.model.job import NewJob
from hubqueue.model.limits import MAX_DELAY_MS, check_int, check_name, check_queue, check_size
from hubqueue.model.verbs import Schedule
from hubqueue.store import jobs, schedules
from hubqueue.store.tx import Tx


def check(schedule: Schedule) -> None:
    """Errors: Invalid."""
    check_queue(schedule.queue)
    check_name(schedule.name)
    check_size(schedule.data)
    if not schedule.key or len(schedule.key) > 256:
        raise Invalid("A schedule's key must be a non-empty string of at most 256 characters")
    if schedule.cron is not None:
        raise Invalid("Cron patterns are not supported yet", hint="use an interval: every=...")
    if schedule.every_ms is None:
        raise Invalid("A schedule needs an interval", hint="every=... in seconds")
    check_int("every", schedule.every_ms, 1, MAX_DELAY_MS)


def upsert(tx: Tx, schedule: Schedule) -> None:
    """Put a schedule; the first fire is one interval from now. The runs of an older one with this key go on."""
    assert schedule.every_ms is not None
    due = tx.now_ms + schedule.every_ms
    schedules.put(tx, msgspec.structs.replace(schedule, next_run_at_ms=due))
    tx.due(due)


def delete(tx: Tx, key: str) -> None:
    """Errors: NotFound."""
    if not schedules.delete(tx, key):
        raise NotFound("Cron job not found")


def fire_due(tx: Tx, limit: int) -> int:
    """Fire what is due; how many were looked at. Fires missed while the hub was down become one."""
    due = schedules.due(tx, limit)
    for stored in due:
        _fire(tx, stored)
    return len(due)


def _fire(tx: Tx, stored: schedules.Stored) -> None:
    schedule = stored.schedule
    assert schedule.every_ms is not None
    assert schedule.next_run_at_ms is not None
    missed = (tx.now_ms - schedule.next_run_at_ms) // schedule.every_ms
    next_ms = schedule.next_run_at_ms + (missed + 1) * schedule.every_ms
    runs, last = schedule.runs, stored.last_seq
    grip = jobs.grips(tx, [last]).get(last) if last is not None else None
    if grip is None or grip.state in (4, 5):  # no overlap: the job of the last fire has ended
        try:
            (id,) = enqueue(
                tx, schedule.queue, [NewJob(name=schedule.name, data=schedule.data, priority=schedule.priority)]
            )
        except (QueueFull, DiskFull):
            pass  # this fire is skipped: the next one comes by itself
        else:
            runs += 1
            last = tx.identity.seq_of(id)
    if schedule.limit is not None and runs >= schedule.limit:
        schedules.delete(tx, schedule.key)
        return
    schedules.fired(tx, schedule.key, next_ms, runs, last)
    tx.due(next_ms)
