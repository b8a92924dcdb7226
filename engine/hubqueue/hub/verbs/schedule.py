"""Schedules: put, get, delete, fire. Nothing fires twice for one time, and nothing that is due stays away.

Missed fires (the hub was down) are skipped, or made up for by one job. A fire whose last job has not ended is
counted, but makes no job, unless the schedule allows overlap.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

import msgspec

from hubqueue.errors import HubqueueError, NotFound, WrongState
from hubqueue.hub.verbs import rows
from hubqueue.hub.verbs.enqueue import enqueue
from hubqueue.model.job import PLAIN
from hubqueue.model.schedule import Schedule, first_run_ms, job_of, next_run_ms
from hubqueue.model.state import QUEUED, TERMINAL, Move
from hubqueue.store import jobs, schedules
from hubqueue.store.tx import Tx

log = logging.getLogger(__name__)

LATE_MS: Final = 60_000  # a fire that is later than this was missed: the hub was down or the clock jumped
SMALL_JUMP_MS: Final = 3 * 3_600_000  # a clock set back by less fires no time of day again (as Debian's cron)


def upsert(tx: Tx, schedule: Schedule, *, afresh: bool = False) -> Schedule:
    """Put a checked schedule; the runs of an older one with this key go on. The schedule as it is now.

    One that is put as it is goes on in its phase. afresh: the job that the older one has queued is removed.
    """
    old = schedules.get(tx, schedule.key)
    if old is not None:
        if afresh and old.last_seq is not None:
            _withdraw(tx, old.last_seq)
        if _bare(schedule) == _bare(old.schedule):
            return old.schedule
        schedule = msgspec.structs.replace(schedule, immediately=False, runs=old.schedule.runs)
    due = first_run_ms(schedule, tx.now_ms)
    schedule = msgspec.structs.replace(schedule, next_run_at_ms=due)
    schedules.put(tx, schedule)
    if due is not None:
        tx.due(due)
    return schedule


def _bare(schedule: Schedule) -> Schedule:
    """What is put, without what has become of it: the first run of an older one is over."""
    options = None if schedule.options == PLAIN else schedule.options
    return msgspec.structs.replace(schedule, options=options, immediately=False, next_run_at_ms=None, runs=0)


def _withdraw(tx: Tx, seq: int) -> None:
    found = jobs.get(tx, seq)
    if found is not None and found[0].state in QUEUED:
        job, queue = found
        rows.remove(tx, queue, Move.CANCEL, job.state, [(seq, job.flags, job.priority)])


def get(tx: Tx, key: str) -> Schedule:
    """Errors: NotFound."""
    stored = schedules.get(tx, key)
    if stored is None:
        raise NotFound("Cron job not found")
    return stored.schedule


def every(tx: Tx) -> list[Schedule]:
    """All schedules, by key."""
    return [stored.schedule for stored in schedules.every(tx)]


def delete(tx: Tx, key: str) -> None:
    """Errors: NotFound."""
    if not schedules.delete(tx, key):
        raise NotFound("Cron job not found")


def run_now(tx: Tx, key: str) -> str:
    """Enqueue its job at once, besides; the id. Errors: NotFound, WrongState while the last job has not ended."""
    stored = schedules.get(tx, key)
    if stored is None:
        raise NotFound("Cron job not found")
    schedule = stored.schedule
    if _is_held(tx, stored):
        raise WrongState("The job of the last run has not ended", hint="let it end, or allow overlap")
    (id,) = enqueue(tx, schedule.queue, [job_of(schedule)])
    schedules.fired(tx, key, schedule.next_run_at_ms, schedule.runs, tx.identity.seq_of(id))
    return id


def fire_due(tx: Tx, limit: int, served: Callable[[str], bool]) -> int:
    """Fire what is due; how many were looked at. served: whether a worker is there for a queue."""
    due = schedules.due(tx, limit)
    for stored in due:
        _fire(tx, stored, served)
    return len(due)


def follow_jump(tx: Tx, now_ms: int, jump_ms: int) -> None:
    """The clock jumped by jump_ms to now_ms: intervals keep their rhythm, times of day follow the new clock."""
    schedules.shift_intervals(tx, jump_ms)
    if -SMALL_JUMP_MS < jump_ms < 0:
        return
    for stored in schedules.every(tx):
        schedule = stored.schedule
        if schedule.cron is not None and not (jump_ms > 0 and not schedule.skip_missed):
            schedules.move(tx, schedule.key, next_run_ms(schedule, now_ms, now_ms))


def _fire(tx: Tx, stored: schedules.Stored, served: Callable[[str], bool]) -> None:
    schedule = stored.schedule
    assert schedule.next_run_at_ms is not None
    next_ms = next_run_ms(schedule, schedule.next_run_at_ms, tx.now_ms)
    missed = tx.now_ms - schedule.next_run_at_ms > LATE_MS and schedule.skip_missed
    if missed or (schedule.worker_only and not served(schedule.queue)):
        schedules.fired(tx, schedule.key, next_ms, schedule.runs, stored.last_seq)
    else:
        last = _run(tx, stored)
        runs = schedule.runs + 1
        if next_ms is None or (schedule.limit is not None and runs >= schedule.limit):
            schedules.delete(tx, schedule.key)
            return
        schedules.fired(tx, schedule.key, next_ms, runs, last)
    if next_ms is not None:
        tx.due(next_ms)


def _run(tx: Tx, stored: schedules.Stored) -> int | None:
    """Enqueue the job of one fire; the seq of the last job made."""
    schedule, last = stored.schedule, stored.last_seq
    if _is_held(tx, stored):
        return last
    try:
        (id,) = enqueue(tx, schedule.queue, [job_of(schedule)])
    except HubqueueError as error:  # full queue, full disk: the next fire comes by itself
        log.warning("A schedule could not enqueue. key=%s queue=%s code=%s", schedule.key, schedule.queue, error.code)
        return last
    return tx.identity.seq_of(id)


def _is_held(tx: Tx, stored: schedules.Stored) -> bool:
    """Whether its last job has not ended and it allows no second one beside it."""
    if stored.schedule.overlap or stored.last_seq is None:
        return False
    lease_row = jobs.lease_rows(tx, [stored.last_seq]).get(stored.last_seq)
    return lease_row is not None and lease_row.state not in TERMINAL
