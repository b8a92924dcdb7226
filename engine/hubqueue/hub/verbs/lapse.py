"""The end of leases that nobody settled: the worker, its connection or the hub is gone, or their time is over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from hubqueue.hub.verbs import rows
from hubqueue.hub.verbs.bury import bury
from hubqueue.hub.verbs.settle import attempt_failed, put_back
from hubqueue.model.job import Flag, Job
from hubqueue.model.state import Move, State
from hubqueue.store import jobs, leases
from hubqueue.store.queues import QueueRow
from hubqueue.store.tx import Tx

MAX_LOST: Final = 3  # a job whose worker vanished this often is a dead letter
MAX_RESTARTS: Final = 5  # one with which the hub went down this often too: in an embedded hub it may have done it


def by_seq(tx: Tx, held: Sequence[tuple[str, int]]) -> list[tuple[int, int]]:
    """(id, lease number) as (seq, lease number), for jobs that exist."""
    return [(seq, lease_no) for id, lease_no in held if (seq := rows.seq_of(tx, id)) is not None]


def lose(tx: Tx, held: Sequence[tuple[int, int]], grace_ms: int, *, by_hub: bool) -> None:
    """The connection that took these (seq, lease_no) broke: a grace, then they are given back and counted as lost.

    by_hub: it is the hub that leaves.
    """
    leases.lose(tx, held, tx.now_ms + grace_ms, leases.Lost.HUB if by_hub else leases.Lost.CONNECTION)
    tx.due(tx.now_ms + grace_ms)


def orphan(tx: Tx) -> int:
    """The hub has restarted: no worker has been heard yet; how many leases there are."""
    return leases.orphan(tx)


def grace(tx: Tx, grace_ms: int) -> None:
    """Workers find the hub again: those that do not come back for their leases lose them after this."""
    leases.grace(tx, tx.now_ms + grace_ms)
    tx.due(tx.now_ms + grace_ms)


def give_back(tx: Tx, held: Sequence[tuple[int, int]]) -> None:
    """Release these leases (seq, lease_no) where they are still current; nothing is counted.

    Their holders did not say so: what they say later is too late, and must not pass for a repetition.
    """
    found = jobs.lease_rows(tx, [seq for seq, _ in held])
    for seq, lease_no in held:
        row = found.get(seq)
        if row is not None and jobs.release(tx.db, seq, lease_no, fence=True):
            queue = tx.queues.by_id[row.queue]
            tx.count(queue, State.ACTIVE, -1)
            tx.count_job(queue, State.WAITING, row.priority, 1)
            if not queue.paused:
                tx.available(queue)
            if row.flags & Flag.ENDS:
                tx.due(tx.now_ms)  # its time may be over


def reclaim(tx: Tx, queue: str, owner: str, *, blames: bool) -> list[str]:
    """Release a slice of what an owner that is known to be gone had leased: in its place; the ids of these jobs.

    Nothing is counted. blames: but that the hub went down with it, which the job may have done.
    """
    row = tx.queues.find(queue)
    held = [] if row is None else leases.owned(tx, row.id, owner)
    for job, found, lost, restarts in held:
        if blames and lost == leases.Lost.HUB:
            _hub_restarted(tx, job, found, restarts + 1)
        else:
            give_back(tx, [(job.seq, job.lease_no)])
    return [each.job.id for each in held]


def sweep(tx: Tx, limit: int) -> int:
    """End the leases whose deadline has passed; how many."""
    expired = leases.expired(tx, limit)
    for each in expired:
        _expire(tx, each)
        tx.settled.append(each.job.id)
    return len(expired)


def _expire(tx: Tx, lapsed: leases.Lapsed) -> None:
    job, queue, lost, restarts = lapsed
    timeout_ms = job.options.timeout_ms if job.flags & Flag.TIMEOUT else None
    if lost == leases.Lost.HUB:
        _hub_restarted(tx, job, queue, restarts + 1)
    elif timeout_ms and (job.started_at_ms or 0) + timeout_ms <= tx.now_ms:
        # the token keeps its number: a late settlement is answered "already finalized", as the protocol says
        attempt_failed(tx, job, queue, Move.LAPSE, reason="timeout", error="Job timeout exceeded")
    elif not tx.bounds(queue.name).count_lost and not job.flags & Flag.CANCELLED:
        tx.count(queue, State.ACTIVE, -1)
        put_back(tx, job, queue, Move.LAPSE, 0, job.history, fence=True, keep_place=True)
    elif lost == leases.Lost.CONNECTION:
        _worker_lost(tx, job, queue)
    else:
        job.stall_count += 1
        stalled = job.stall_count >= tx.bounds(queue.name).max_stalls
        last = stalled or job.attempts + 1 >= job.max_attempts
        tx.emit("stalled", queue.name, job.id, data=_stalled(job) if last else None)
        error = f"Lock expired at max attempts ({job.max_attempts})" if last and not stalled else "Lock expired"
        attempt_failed(
            tx,
            job,
            queue,
            Move.LAPSE,
            reason="stalled",
            error=error,
            delay_ms=0,
            final="stalled" if stalled else None,
            fence=True,
            lapsed=f"Lock expired (max {'stalls' if stalled else 'attempts'} reached)",
        )


def _worker_lost(tx: Tx, job: Job, queue: QueueRow) -> None:
    job.lost_count += 1
    tx.count(queue, State.ACTIVE, -1)
    if job.lost_count >= MAX_LOST or job.max_attempts == 1:
        error = f"The worker's connection was lost {_times(job.lost_count)}"
        tx.emit("failed", queue.name, job.id, error=error, data=job.data, terminal=True)
        bury(tx, job, queue, Move.LAPSE, job.history, "worker_lost", error, fence=True)
    elif job.flags & Flag.CANCELLED:
        bury(tx, job, queue, Move.LAPSE, job.history, "cancelled", None, fence=True)
    else:
        put_back(tx, job, queue, Move.LAPSE, 0, job.history, fence=True, keep_place=True)


def _hub_restarted(tx: Tx, job: Job, queue: QueueRow, restarts: int) -> None:
    """The hub went down with the job: that is nobody's fault, but for a job that does it again and again."""
    tx.count(queue, State.ACTIVE, -1)
    if job.flags & Flag.CANCELLED:
        bury(tx, job, queue, Move.LAPSE, job.history, "cancelled", None, fence=True)
    elif restarts >= MAX_RESTARTS and tx.bounds(queue.name).count_lost:
        error = f"The hub went down {_times(restarts)} while this job was active"
        tx.emit("failed", queue.name, job.id, error=error, data=job.data, terminal=True)
        bury(tx, job, queue, Move.LAPSE, job.history, "hub_restarted", error, fence=True)
    else:
        leases.count_restart(tx, job.seq, restarts)
        put_back(tx, job, queue, Move.LAPSE, 0, job.history, fence=True, keep_place=True)


def _times(count: int) -> str:
    return "1 time" if count == 1 else f"{count} times"


def _stalled(job: Job) -> bytes:
    return msgspec.msgpack.encode({"stallCount": job.stall_count, "action": "move_to_dlq"})
