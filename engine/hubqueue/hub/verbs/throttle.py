"""Limits of queues and groups: set, cleared and shown. They are applied by the lease."""

from __future__ import annotations

from copy import copy
from typing import Final

import msgspec

from hubqueue.hub.verbs import rows
from hubqueue.model.state import State
from hubqueue.model.throttle import GroupLimits, QueueLimits, Rate, Window
from hubqueue.store import groups, limits
from hubqueue.store.queues import QueueRow
from hubqueue.store.tx import Tx

NO_LIMIT: Final = -2  # what the protocol answers for the ttl of a limit that is not there


def set_rate(tx: Tx, queue: str, rate: Rate | None, ttl_ms: int | None = None) -> None:
    """Set or clear the rate of a queue; its bucket starts full. ttl_ms: the rate clears itself after so long."""
    row = rows.queue_row(tx, queue)
    if rate is not None and ttl_ms is not None:
        rate = msgspec.structs.replace(rate, until_ms=tx.now_ms + ttl_ms)
    limits.store(tx, row, msgspec.structs.replace(row.limits or QueueLimits(), rate=rate))


def set_concurrency(tx: Tx, queue: str, concurrency: int | None) -> None:
    """Set or clear how many jobs of a queue may be active at a time; those that are count."""
    row = rows.queue_row(tx, queue)
    limits.store(tx, row, msgspec.structs.replace(row.limits or QueueLimits(), concurrency=concurrency))


def queue_limits(tx: Tx, queue: str) -> QueueLimits:
    """The limits of a queue as they are now."""
    row = tx.queues.find(queue)
    kept = QueueLimits() if row is None or row.limits is None else row.limits
    return QueueLimits(None, kept.concurrency) if kept.rate is not None and kept.rate.over(tx.now_ms) else kept


def is_maxed(tx: Tx, queue: str) -> bool:
    """Whether as many jobs of a queue are active as may be."""
    row = tx.queues.find(queue)
    concurrency = None if row is None or row.limits is None else row.limits.concurrency
    return row is not None and concurrency is not None and row.n[State.ACTIVE] >= concurrency


def rate_wait_ms(tx: Tx, queue: str, max_jobs: int | None) -> int:
    """Milliseconds until the queue's rate allows a job; the limit's remaining ttl if it has one; NO_LIMIT without one.

    max_jobs: 0 while fewer than so many tokens are used.
    """
    row = tx.queues.find(queue)
    rate = queue_limits(tx, queue).rate
    if row is None or row.bucket is None or rate is None:
        return NO_LIMIT
    if rate.until_ms is not None:
        return max(0, rate.until_ms - tx.now_ms)
    free = row.bucket.available(tx.now_ms)
    if free > 0 or (max_jobs is not None and rate.max - free < max_jobs):
        return 0
    return row.bucket.wait_ms() or 0


def group_counts(tx: Tx, queue: str, group: str) -> tuple[int, int]:
    """(queued, active) jobs of a group."""
    row = tx.queues.find(queue)
    found = None if row is None else groups.get(tx, row, group)
    return (0, 0) if found is None else (found.waiting + found.delayed, found.active)


def groups_count(tx: Tx, queue: str) -> int:
    """Queued jobs of all groups of a queue."""
    row = tx.queues.find(queue)
    return 0 if row is None else groups.queued_count(tx, row)


def group_limits(tx: Tx, queue: str, group: str) -> GroupLimits:
    row = tx.queues.find(queue)
    found = None if row is None else groups.get(tx, row, group)
    return GroupLimits() if found is None else found.limits


def set_group_rate(tx: Tx, queue: str, group: str, rate: Rate | None) -> bool:
    """Set or clear a group's rate and end its running window; whether there was one before."""
    before = group_limits(tx, queue, group)
    if before.rate is None and rate is None:
        return False
    row = rows.queue_row(tx, queue)
    groups.store_limits(tx, row, group, msgspec.structs.replace(before, rate=rate))
    _remember_window(tx, row, group)
    row.windows.pop(group, None)
    _open(tx, queue)
    return before.rate is not None


def set_group_concurrency(tx: Tx, queue: str, group: str, concurrency: int | None) -> bool:
    """Set or clear how many jobs of a group may be active at a time; whether there was a limit before."""
    before = group_limits(tx, queue, group)
    if before.concurrency is None and concurrency is None:
        return False
    row = rows.queue_row(tx, queue)
    groups.store_limits(tx, row, group, msgspec.structs.replace(before, concurrency=concurrency))
    _open(tx, queue)
    return before.concurrency is not None


def block_group(tx: Tx, queue: str, group: str, duration_ms: int) -> None:
    """Hand out no job of the group for so long. Not stored: a restart ends it."""
    row = rows.queue_row(tx, queue)
    _remember_window(tx, row, group)
    window = row.windows.setdefault(group, Window(tx.now_ms))
    window.blocked_until_ms = tx.now_ms + duration_ms
    row.refill_ms = min(row.refill_ms, window.blocked_until_ms)
    tx.due(window.blocked_until_ms)


def _remember_window(tx: Tx, row: QueueRow, group: str) -> None:
    """It is put back as it is, if this group of verbs is given up."""
    window = row.windows.get(group)
    kept = None if window is None else copy(window)

    def back() -> None:
        if kept is None:
            row.windows.pop(group, None)
        else:
            row.windows[group] = kept

    tx.undo.append(back)


def group_wait_ms(tx: Tx, queue: str, group: str, max_jobs: int | None) -> int:
    """Milliseconds until a block or a full window of the group ends; NO_LIMIT when there is none."""
    row = tx.queues.find(queue)
    window = None if row is None else row.windows.get(group)
    if window is None:
        return NO_LIMIT
    if tx.now_ms < window.blocked_until_ms:
        return window.blocked_until_ms - tx.now_ms
    if window.over(tx.now_ms):
        return NO_LIMIT
    return 0 if max_jobs is not None and window.count < max_jobs else window.ends_ms - tx.now_ms


def pause_group(tx: Tx, queue: str, group: str, *, paused: bool) -> bool:
    """Hand out no jobs of a group, or again; whether that changed anything."""
    if paused == is_group_paused(tx, queue, group):
        return False
    row = rows.queue_row(tx, queue)
    row.grouped = True
    changed = groups.pause(tx, row, group, paused=paused)
    if changed and not paused:
        _open(tx, queue)
    return changed


def is_group_paused(tx: Tx, queue: str, group: str) -> bool:
    row = tx.queues.find(queue)
    found = None if row is None else groups.get(tx, row, group)
    return found is not None and bool(found.paused)


def _open(tx: Tx, queue: str) -> None:
    """Let whoever waits on the queue try again."""
    row = tx.queues.find(queue)
    if row is not None and row.n[State.WAITING]:
        tx.available(row, row.n[State.WAITING])
