"""lease: the best waiting jobs of a queue become active, each with a new lease number.

First the jobs without a group, by priority and order; then the groups, one job each in turn.
"""

from __future__ import annotations

import math
from typing import Final, TypeVar

from hubqueue.hub.verbs import overflow, times
from hubqueue.hub.verbs.expire import expire
from hubqueue.model.job import Flag, Job, Leased
from hubqueue.model.limits import MAX_LEASE_MS, MIN_LEASE_MS
from hubqueue.model.state import State
from hubqueue.model.throttle import ANY, GroupLimits, Pull, Rate, Window
from hubqueue.store import delays, groups, jobs, leases, limits
from hubqueue.store.queues import PRIORITIZED, QueueRow
from hubqueue.store.slices import SLICE_BYTES
from hubqueue.store.tx import Tally, Tx

PROMOTED: Final = 200  # due jobs that one lease moves to waiting; maintenance moves the rest
OUTLIVED: Final = 100  # jobs whose time is over that one lease ends; it tries again for the rest
LINE: Final = 100  # groups looked at in one query
FEW: Final = 4  # so many fit into a reply however large they are
MAX_BYTES: Final = 16 * 1024 * 1024  # of data in one lease: it is held in memory, and must fit into a frame
DEFAULT_LEASE_MS: Final = 30_000
SPECIAL: Final = Flag.ENDS | Flag.TIMEOUT | Flag.STALL_TIMEOUT


def clamp_lease_ms(lease_ms: float | None) -> int:
    """A lease lasts 1 s to 24 h; None is the default."""
    if lease_ms is None or not math.isfinite(lease_ms):
        return DEFAULT_LEASE_MS
    return int(min(max(lease_ms, MIN_LEASE_MS), MAX_LEASE_MS))


def lease(tx: Tx, queue: str, count: int, owner: str | None, lease_ms: int, pull: Pull = ANY) -> list[Leased]:
    """Up to `count` jobs, best first, fewer if they are large; none when the queue is empty, paused or at its limit.

    owner None: no token is needed to settle (wire: a pull without an owner).
    """
    row = tx.queues.by_name.get(queue)
    if row is None:
        return []
    row.asked_ms = tx.now_ms
    if row.paused:
        return []
    if row.n[State.DELAYED]:
        delays.promote_due(tx, row, PROMOTED)
    if owner is None:
        lease_ms = _ownerless_ms(tx, queue, lease_ms)
    if row.limits is not None:
        count = limits.allowed(tx, row, count)
    taken: list[Job] = []
    if pull.group is None:
        most_bytes = SLICE_BYTES if tx.short_of_disk else MAX_BYTES
        fitting = jobs.next_within(tx, row, count, most_bytes) if count > FEW or tx.short_of_disk else count
        _take_plain(tx, row, fitting, owner, lease_ms, taken)
        count = count if fitting == count else 0
    if row.grouped and not pull.plain_only:
        _take_grouped(tx, row, min(count, FEW) if tx.short_of_disk else count, owner, lease_ms, pull, taken)
    if not taken:
        return []
    tx.tallies.append((row, Tally.PULLED, len(taken)))
    times.waited(tx, row, taken)
    if row.limits is not None:
        limits.took(tx, row, len(taken))
    tx.due(tx.now_ms + lease_ms)
    if overflow.OVERFLOW in tx.queues.by_name:
        overflow.freed(tx, row)
    if tx.subscribers:
        for job in taken:
            tx.emit("pulled", queue, job.id)
    if owner is None:
        return [Leased(job, "") for job in taken]
    token = tx.identity.token
    return [Leased(job, token(job.seq, job.lease_no)) for job in taken]


def _ownerless_ms(tx: Tx, queue: str, lease_ms: int) -> int:
    """A lease without an owner lasts as long as its queue's stall settings say."""
    own = tx.queues.settings.get(queue)
    if own is None or own.stall is None:
        return lease_ms
    return min(max(own.stall.interval_ms, MIN_LEASE_MS), MAX_LEASE_MS) if own.stall.enabled else MAX_LEASE_MS


def _take_plain(tx: Tx, row: QueueRow, count: int, owner: str | None, lease_ms: int, taken: list[Job]) -> None:
    outlived = 0
    while len(taken) < count and row.n[State.WAITING] > 0:
        batch = jobs.lease(tx, row, count - len(taken), owner, lease_ms)
        if not batch:
            return
        _count(tx, row, batch)
        started = [job for job in batch if not job.flags & SPECIAL or _start(tx, row, job, lease_ms)]
        taken += started
        outlived += len(batch) - len(started)
        if outlived >= OUTLIVED:
            tx.available(row)  # who waits tries again, in a step of its own
            return


def _take_grouped(
    tx: Tx, row: QueueRow, count: int, owner: str | None, lease_ms: int, pull: Pull, taken: list[Job]
) -> None:
    """One job of each group in line, and again from the front while there are any: a served group goes to the end."""
    turn = -1
    while len(taken) < count and row.n[State.WAITING] > 0:
        if pull.group is None:
            line = groups.in_line(tx, row, turn, LINE)
        else:
            group = groups.get(tx, row, pull.group)
            line = [group] if group is not None and group.waiting and not group.paused and group.turn > turn else []
        if not line:
            return
        for group in line:
            turn = group.turn
            window = _open_window(tx, row, group, pull)
            job = None if window is None else groups.lease_one(tx, row, group.name, owner, lease_ms)
            if job is None or window is None:
                continue
            _count(tx, row, [job])
            if not job.flags & SPECIAL or _start(tx, row, job, lease_ms):
                window.count += 1
                tx.undo.append(lambda window=window: setattr(window, "count", window.count - 1))  # type: ignore[misc]
                taken.append(job)
                if len(taken) >= count:
                    return


def _open_window(tx: Tx, row: QueueRow, group: groups.GroupRow, pull: Pull) -> Window | None:
    """The window of a group that may have a job handed out now; None when a limit forbids it."""
    stored = group.limits if group.limits_blob is not None else GroupLimits()
    concurrency = _effective(pull.concurrency, stored.concurrency)
    if concurrency is not None and group.active >= concurrency:
        return None
    rate = _effective(pull.rate, stored.rate)
    window = row.windows.get(group.name)
    if window is None:
        window = Window(tx.now_ms)
        if rate is not None:
            row.windows[group.name] = window
    open_at = window.open_at_ms(rate, tx.now_ms)
    if open_at > tx.now_ms:
        row.refill_ms = min(row.refill_ms, open_at)
        tx.due(open_at)
        return None
    return window


T = TypeVar("T", int, Rate)


def _effective(default: T | None, stored: T | None) -> T | None:
    """A stored limit counts only where the lease carries the default it overrides."""
    return stored if default is not None and stored is not None else default


def _count(tx: Tx, row: QueueRow, batch: list[Job]) -> None:
    n = tx.counts(row)
    n[State.WAITING] -= len(batch)
    n[State.ACTIVE] += len(batch)
    for job in batch:
        n[PRIORITIZED] -= job.priority > 0


def _start(tx: Tx, row: QueueRow, job: Job, lease_ms: int) -> bool:
    """Apply a job's own times to its lease. False: its time is over and it is gone, or dead."""
    if job.flags & Flag.ENDS and expire(tx, job, row):
        return False
    options = job.options
    own_ms = options.stall_timeout_ms or lease_ms
    deadline = tx.now_ms + own_ms
    if options.timeout_ms:
        deadline = min(deadline, tx.now_ms + options.timeout_ms)
    if deadline != job.deadline_ms:
        leases.set_deadline(tx, job.seq, own_ms, deadline)
        job.deadline_ms = deadline
        tx.due(deadline)
    return True
