"""lease: the best waiting jobs of a queue become active, each with a new lease number."""

from __future__ import annotations

from hubqueue.hub.verbs import rows
from hubqueue.model.job import Flag, Job, Leased
from hubqueue.model.state import State
from hubqueue.store import delays, jobs, leases
from hubqueue.store.queues import PRIORITIZED, QueueRow
from hubqueue.store.tx import Tx

PROMOTED = 200  # due jobs that one lease moves to waiting; upkeep moves the rest
FEW = 4  # so many fit into a reply however large they are
MAX_BYTES = 16 * 1024 * 1024  # of data in one lease: it is held in memory, and must fit into a frame
SPECIAL = Flag.TTL | Flag.TIMEOUT | Flag.STALL_TIMEOUT


def lease(tx: Tx, queue: str, count: int, owner: str | None, lease_ms: int) -> list[Leased]:
    """Up to `count` jobs, best first, fewer if they are large; none when the queue is empty, paused or unknown.

    owner None: no token is needed to settle (wire: a pull without an owner).
    """
    row = tx.queues.find(queue)
    if row is None or row.paused:
        return []
    delays.promote_due(tx, row, PROMOTED)
    if count > FEW:
        count = jobs.next_within(tx, row, count, MAX_BYTES)
    taken: list[Job] = []
    while len(taken) < count and row.n[State.WAITING] > 0:
        batch = jobs.lease(tx, row, count - len(taken), owner, lease_ms)
        if not batch:
            break
        tx.count(row, State.WAITING, -len(batch))
        tx.count(row, State.ACTIVE, len(batch))
        raised = sum(1 for job in batch if job.priority > 0)
        if raised:
            tx.count(row, PRIORITIZED, -raised)
        taken += [job for job in batch if not job.flags & SPECIAL or _start(tx, row, job, lease_ms)]
    if not taken:
        return []
    tx.due(tx.now_ms + lease_ms)
    if tx.watched(queue):
        for job in taken:
            tx.emit("pulled", queue, job.id)
    if owner is None:
        return [Leased(job, "") for job in taken]
    token = tx.identity.token
    return [Leased(job, token(job.seq, job.lease_no)) for job in taken]


def _start(tx: Tx, row: QueueRow, job: Job, lease_ms: int) -> bool:
    """Apply a job's own times to its lease. False: it has outlived its ttl and is gone."""
    options = job.options
    if job.flags & Flag.TTL and leases.outlived(tx, job.seq):
        tx.emit("removed", row.name, job.id, prev="waiting")
        rows.remove(tx, row, State.ACTIVE, [(job.seq, job.flags, job.priority)])
        return False
    own_ms = options.stall_timeout_ms or lease_ms
    deadline = tx.now_ms + own_ms
    if options.timeout_ms:
        deadline = min(deadline, tx.now_ms + options.timeout_ms)
    if deadline != job.deadline_ms:
        leases.set_deadline(tx, job.seq, own_ms, deadline)
        job.deadline_ms = deadline
        tx.due(deadline)
    return True
