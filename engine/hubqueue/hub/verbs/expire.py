"""expire: the time of a job is over. Its `ttl` removes it; its `keep_trying` makes a dead letter of it.

Rules: a run under way is let finish, and only its failure is final then (`settle`). What was removed is counted, for
as long as its queue is there. Whoever finds such a job ends it: maintenance when the time comes, a lease that would
hand it out.
"""

from __future__ import annotations

from hubqueue.hub.verbs import rows
from hubqueue.hub.verbs.bury import bury
from hubqueue.hub.verbs.change import retry_by_itself
from hubqueue.hub.verbs.settle import timed_out
from hubqueue.model.job import Flag, Job, last_error
from hubqueue.model.state import Move, State
from hubqueue.store import changes, jobs
from hubqueue.store.queues import EXPIRED, QueueRow
from hubqueue.store.tx import Tx


def expire(tx: Tx, job: Job, queue: QueueRow) -> bool:
    """End a job whose time is over, counted under the state it is given with. False: it still has time."""
    if job.expires_at_ms is None or job.expires_at_ms > tx.now_ms:
        return False
    if job.flags & Flag.KEEP_TRYING:
        error = timed_out(job)
        if job.flags & Flag.DURABLE:
            tx.durable = True
        tx.count_job(queue, job.state, job.priority, -1)
        tx.emit("failed", queue.name, job.id, error=error, data=job.data, terminal=True)
        bury(tx, job, queue, Move.EXPIRE, job.history, "ttl_expired", error, fence=job.state is State.ACTIVE)
    else:
        tx.emit("removed", queue.name, job.id, prev="waiting")
        told = last_error(job.history)
        tx.emit("expired", queue.name, job.id, prev="waiting", error=told, data=job.data, name=job.name)
        _gone(tx, queue, job.state, job.seq, job.flags, job.priority)
    return True


def end_due(tx: Tx, limit: int) -> int:
    """A slice of what is over, and of the dead letters that are to be tried again; how many were looked at."""
    due = changes.due_ends(tx, limit)
    whole = []
    for seq, queue_id, state, priority, flags in due:
        queue = tx.queues.by_id.get(queue_id)
        if queue is None:
            continue
        if state == State.FAILED or flags & Flag.KEEP_TRYING or tx.watched(queue.name):
            whole.append((seq, state))
        else:
            _gone(tx, queue, state, seq, flags, priority)  # nobody is told, and none of it is kept
    for seq, state in whole:
        found = jobs.get(tx, seq)
        if found is None:  # another's end took it along: a parent, or the oldest dead letter beyond the bound
            continue
        if state == State.FAILED:
            retry_by_itself(tx, *found)
        else:
            expire(tx, *found)
    return len(due)


def _gone(tx: Tx, queue: QueueRow, state: int, seq: int, flags: int, priority: int) -> None:
    if flags & Flag.DURABLE:
        tx.durable = True
    rows.remove(tx, queue, Move.EXPIRE, state, [(seq, flags, priority)])
    tx.count(queue, EXPIRED, 1)
