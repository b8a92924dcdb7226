"""What several verbs do to rows: find a job by id, count and remove jobs."""

from __future__ import annotations

from collections.abc import Sequence

from hubqueue.errors import NotFound
from hubqueue.model.job import Flag, Job
from hubqueue.model.state import Move, State
from hubqueue.store import flows, ids, jobs, logs
from hubqueue.store.queues import QueueRow
from hubqueue.store.tx import Tx


def seq_of(tx: Tx, id: str) -> int | None:
    """The seq behind a public id; None when there is no such job. Only custom ids need a look at the file."""
    seq = tx.identity.seq_of(id)
    if seq is not None:
        return seq
    owner = ids.owner_of(tx, id)
    return None if owner is None or owner.state is None else owner.seq


def find(tx: Tx, id: str, message: str = "Job not found") -> tuple[Job, QueueRow]:
    """The job and its queue. Errors: NotFound with the given text."""
    seq = seq_of(tx, id)
    found = None if seq is None else jobs.get(tx, seq)
    if found is None:
        raise NotFound(message)
    return found


def id_of(tx: Tx, seq: int, flags: int) -> str:
    """The public id of a stored job."""
    if flags & Flag.CUSTOM_ID:
        found = jobs.get(tx, seq)
        if found is not None:
            return found[0].id
    return tx.identity.public_id(seq)


def queue_row(tx: Tx, name: str) -> QueueRow:
    """The queue, made if it is new. The caller has checked the name."""
    row = tx.queues.find(name)
    if row is None:
        row = tx.queues.create(name)
        made = row
        tx.undo.append(lambda: tx.queues.drop(made))
    return row


def remove(tx: Tx, queue: QueueRow, move: Move, state: int, rows: Sequence[tuple[int, int, int]]) -> None:
    """Delete rows (seq, flags, priority) of one state, with their ids, keys, logs and counts."""
    if not rows:
        return
    move.to(state, None)
    identified = [seq for seq, flags, _ in rows if flags & ids.IDENTIFIED]
    if identified:
        ids.finished(tx, identified, gone=True)
    logged = [seq for seq, flags, _ in rows if flags & Flag.LOGS]
    if logged:
        logs.delete(tx, logged)
    tied = [seq for seq, flags, _ in rows if flags & Flag.DEPENDENT]
    if tied:
        flows.forget(tx, tied)
    jobs.delete(tx, [seq for seq, _, _ in rows])
    for seq, _, priority in rows:
        tx.count_job(queue, state, priority, -1)
        if tx.awaited:
            notify(tx, seq, None)


def notify(tx: Tx, seq: int, end: State | None) -> None:
    """Tell who waits for the end of this job, after the commit. None: it was removed."""
    waiting = tx.awaited.get(seq)
    if waiting is not None:
        tx.after.append(lambda: waiting(end))
