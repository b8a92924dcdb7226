"""What a worker says of a job it has leased: extend, progress, log."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from hubqueue.errors import LockLost, WrongState
from hubqueue.hub.verbs import rows
from hubqueue.hub.verbs.lease import DEFAULT_LEASE_MS
from hubqueue.model.job import Flag, decode_options, history_blob
from hubqueue.model.limits import MAX_ERROR_CHARS
from hubqueue.model.state import LABELS, State
from hubqueue.model.verbs import Renewal
from hubqueue.store import changes, jobs, leases, logs
from hubqueue.store.tx import Tx


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
    row = jobs.lease_rows(tx, [seq]).get(seq)
    return None if row is None or row.state != State.ACTIVE or row.owner is not None else row.lease_no


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
        value = min(max(value, 0.0), 100.0)
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
