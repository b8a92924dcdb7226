"""extend, progress, log and the end of leases: what happens to a job while it is active."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import msgspec

from hubqueue.errors import LockLost, WrongState
from hubqueue.hub.verbs import rows
from hubqueue.hub.verbs.bury import bury
from hubqueue.hub.verbs.settle import attempt_failed, put_back
from hubqueue.model.job import Flag, Job, decode_options, history_blob
from hubqueue.model.limits import MAX_ERROR_CHARS, MAX_LEASE_MS, MIN_LEASE_MS
from hubqueue.model.state import LABELS, Move, State
from hubqueue.model.verbs import Renewal
from hubqueue.store import changes, jobs, leases, logs
from hubqueue.store.queues import QueueRow
from hubqueue.store.tx import Tx

DEFAULT_LEASE_MS: Final = 30_000
MAX_LOST: Final = 3  # a job whose worker vanished this often is a dead letter
MAX_RESTARTS: Final = 5  # one with which the hub went down this often too: in an embedded hub it may have done it


def clamp_lease_ms(lease_ms: float | None) -> int:
    """A lease lasts 1 s to 24 h; None is the default."""
    if lease_ms is None or not math.isfinite(lease_ms):
        return DEFAULT_LEASE_MS
    return int(min(max(lease_ms, MIN_LEASE_MS), MAX_LEASE_MS))


def extend(tx: Tx, held: Sequence[tuple[str, str | None]], lease_ms: int | None = None) -> list[Renewal]:
    """Renew leases by lease_ms (None: as long as before). A heartbeat is this with None."""
    return [_extend(tx, id, token, lease_ms) for id, token in held]


def _extend(tx: Tx, id: str, token: str | None, lease_ms: int | None) -> Renewal:
    seq = rows.seq_of(tx, id)
    if seq is None:
        return Renewal.LOST
    lease_no = tx.identity.lease_no_of(token, seq) if token else _open_lease(tx, seq)
    if lease_no is None:
        return Renewal.LOST
    renewed = leases.renew(tx, seq, lease_no, lease_ms, DEFAULT_LEASE_MS)
    if renewed is None:
        return Renewal.LOST
    flags, started_at_ms, options = renewed
    if flags & Flag.TIMEOUT and options is not None:
        timeout_ms = decode_options(options).timeout_ms
        if timeout_ms:
            leases.bound_deadline(tx, seq, started_at_ms + timeout_ms)
    return Renewal.CANCELLED if flags & Flag.CANCELLED else Renewal.RENEWED


def _open_lease(tx: Tx, seq: int) -> int | None:
    """The lease number of a job that was leased without an owner: no token is needed for it."""
    grip = jobs.grips(tx, [seq]).get(seq)
    return None if grip is None or grip.state != State.ACTIVE or grip.owner is not None else grip.lease_no


def progress(
    tx: Tx, id: str, token: str | None, value: float | None, message: str | msgspec.UnsetType | None = msgspec.UNSET
) -> None:
    """Store how far an active job is, 0 to 100. message UNSET keeps the old one. A given token must be current.

    Errors: NotFound, WrongState, LockLost.
    """
    job, queue = rows.find(tx, id)
    if job.state is not State.ACTIVE:
        raise WrongState(f"Job is not active (current state: {LABELS[job.state]})")
    if token and tx.identity.lease_no_of(token, job.seq) != job.lease_no:
        raise LockLost(f"Invalid or expired lock token for job {id}")
    if value is not None:
        value = 0.0 if math.isnan(value) else min(max(float(value), 0.0), 100.0)
    history = job.history
    if message is not msgspec.UNSET:
        text = None if message is None else message[:MAX_ERROR_CHARS]
        history = msgspec.structs.replace(history, progress_message=text)
    leases.store_progress(tx, job.seq, value, history_blob(history))
    if tx.watched(queue.name):
        shown = job.progress if value is None else value
        data = msgspec.msgpack.encode({"progress": shown, "message": history.progress_message})
        tx.emit("progress", queue.name, id, progress=shown, data=data)


def add_log(tx: Tx, id: str, text: str, level: str = "info") -> None:
    """Add a line to the job's log, in any state. Errors: NotFound."""
    job, _ = rows.find(tx, id)
    if not job.flags & Flag.LOGS:
        changes.set_flags(tx, job.seq, job.flags | Flag.LOGS)
    logs.add(tx, job.seq, level, text)


def read_logs(tx: Tx, id: str) -> list[logs.LogLine]:
    """The kept lines, oldest first; none for an unknown job."""
    seq = rows.seq_of(tx, id)
    return [] if seq is None else logs.read(tx, seq)


def trim_logs(tx: Tx, id: str, keep: int) -> None:
    seq = rows.seq_of(tx, id)
    if seq is not None:
        logs.trim(tx, seq, max(0, keep))


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
    """Release these leases (seq, lease_no) where they are still current; nothing is counted."""
    found = jobs.grips(tx, [seq for seq, _ in held])
    for seq, lease_no in held:
        grip = found.get(seq)
        if grip is not None and jobs.release(tx.db, seq, lease_no):
            queue = tx.queues.by_id[grip.queue]
            tx.count(queue, State.ACTIVE, -1)
            tx.count_job(queue, State.WAITING, grip.priority, 1)
            if not queue.paused:
                tx.available(queue)
            if grip.flags & Flag.ENDS:
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


def sweep(tx: Tx, limit: int) -> list[str]:
    """End the leases whose deadline has passed; the ids of their jobs."""
    expired = leases.expired(tx, limit)
    for each in expired:
        _expire(tx, each)
    return [each.job.id for each in expired]


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
