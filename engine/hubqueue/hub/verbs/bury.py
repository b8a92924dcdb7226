"""bury: a job becomes a dead letter, what waits for it is told, and the oldest beyond its queue's bound is dropped.

Whoever buries a job has taken back its count in the state it had, and tells of it in an event.
"""

from __future__ import annotations

import msgspec

from hubqueue.hub.verbs import flow, rows
from hubqueue.hub.verbs.enqueue import evict
from hubqueue.model.flow import Ended
from hubqueue.model.job import Flag, History, Job, OnFailure, history_blob
from hubqueue.model.limits import MAX_ERROR_CHARS
from hubqueue.model.state import Move, State
from hubqueue.store import flows, ids, jobs, lists
from hubqueue.store.queues import QueueRow
from hubqueue.store.slices import BATCH_BYTES
from hubqueue.store.tx import Tally, Tx


def bury(
    tx: Tx,
    job: Job,
    queue: QueueRow,
    move: Move,
    history: History,
    reason: str,
    error: str | None,
    *,
    fence: bool = False,
    remove: bool | None = None,
) -> None:
    """A job becomes a dead letter, and what waits for it is told; the oldest beyond the bound is dropped."""
    _bury(tx, job, queue, move, history, reason, error, fence=fence, remove=remove)
    if job.flags & Flag.DEPENDED and job.options.on_failure is not None:
        tell_parents(tx, job, error)


def tell_parents(tx: Tx, job: Job, error: str | None) -> None:
    """A child with a failure policy has failed: apply it to those that wait for the child."""
    falling = [(job, error)]
    while falling:  # a failure climbs as far as each parent asks for it; trees may be deep
        child, cause = falling.pop()
        for edge in flows.on(tx, child.seq):
            if edge.child and edge.outcome == Ended.PENDING:
                falling += _tell_parent(tx, child, edge, cause)


def _tell_parent(tx: Tx, child: Job, edge: flows.Edge, cause: str | None) -> list[tuple[Job, str | None]]:
    """Apply the failure of a child; the parent too if it failed by that and its own parents are to be told."""
    match child.options.on_failure:
        case OnFailure.CONTINUE:
            flow.go_on(tx, edge, cause)
        case OnFailure.IGNORE | OnFailure.REMOVE as policy:
            flow.ignore_failure(tx, edge, cause, recorded=policy is OnFailure.IGNORE)
        case OnFailure.FAIL:
            found = jobs.get(tx, edge.dependent)
            if found is not None and found[0].state in Move.CHILD_FAILED.sources:
                parent, queue = found
                error = f"Child job {child.id} failed: {cause or ''}"[:MAX_ERROR_CHARS]
                tx.count_job(queue, parent.state, parent.priority, -1)
                tx.emit("failed", queue.name, parent.id, error=error, data=parent.data)
                move = Move.CHILD_FAILED
                _bury(tx, parent, queue, move, parent.history, "child_failed", error, fence=False, remove=None)
                if parent.flags & Flag.DEPENDED and parent.options.on_failure is not None:
                    return [(parent, error)]
    return []


def _bury(
    tx: Tx,
    job: Job,
    queue: QueueRow,
    move: Move,
    history: History,
    reason: str,
    error: str | None,
    *,
    fence: bool,
    remove: bool | None,
) -> None:
    rows.notify(tx, job.seq, State.FAILED)
    tx.tallies.append((queue, Tally.FAILED, 1))
    if job.flags & ids.IDENTIFIED:
        ids.finished(tx, [job.seq], gone=False)
    if bool(job.flags & Flag.REMOVE_ON_FAIL) if remove is None else remove:
        tx.count_job(queue, job.state, job.priority, 1)  # `remove` takes it back again
        rows.remove(tx, queue, move, job.state, [(job.seq, job.flags, job.priority)])
        return
    retry_at = None
    own = tx.queues.settings.get(queue.name)
    if own is not None and own.dlq is not None:
        retry_at = own.dlq.next_retry_ms(tx.now_ms, history.retries, reason)
        if retry_at is not None:
            tx.due(retry_at)
    final = msgspec.structs.replace(history, reason=reason, error=error, retry_at_ms=retry_at)
    jobs.bury(tx, job, move.to(job.state, State.FAILED), history_blob(final), fence=fence, retry_at_ms=retry_at)
    tx.count(queue, State.FAILED, 1)
    bound_dead(tx, queue)


def bound_dead(tx: Tx, queue: QueueRow) -> None:
    """Keep the dead letters of a queue within their bound."""
    over = queue.n[State.FAILED] - tx.bounds(queue.name).max_dead
    if over > 0:
        evict(tx, queue, State.FAILED, lists.heads(tx, queue.id, State.FAILED, over, BATCH_BYTES))
