"""Reads that answer a client: verbs of the group, so they see what was accepted before them."""

from __future__ import annotations

from collections.abc import Sequence

from hubqueue.errors import NotFound
from hubqueue.hub.verbs import rows
from hubqueue.model.job import Job
from hubqueue.model.state import State
from hubqueue.model.verbs import Counts, Page, QueueInfo
from hubqueue.store import ids, lists
from hubqueue.store.queues import EXPIRED, PRIORITIZED, QueueRow
from hubqueue.store.slices import light
from hubqueue.store.tx import Tx


def get(tx: Tx, id: str) -> Job:
    """The job. A due one is shown as waiting before it is promoted. Errors: NotFound."""
    job, _ = rows.find(tx, id)
    return as_shown(tx, job)


def find(tx: Tx, id: str) -> Job | None:
    """The job, or None."""
    try:
        return get(tx, id)
    except NotFound:
        return None


def list_jobs(
    tx: Tx,
    queue: str,
    states: Sequence[State] = (),
    *,
    limit: int = 100,
    cursor: int | None = None,
    offset: int = 0,
    ascending: bool = True,
) -> Page:
    """A page of jobs in order of acceptance; no states means all. cursor: that of the page before."""
    row = tx.queues.find(queue)
    limit, offset = max(0, limit), max(0, offset)
    if row is None or not limit:
        return Page([])
    wanted = tuple(dict.fromkeys(states)) or tuple(State)
    found = lists.page(tx, row, wanted, limit=limit, cursor=cursor, offset=offset, ascending=ascending)
    cursor = found[-1].seq if len(found) == limit else None
    return Page([as_shown(tx, job) for job in found], cursor)


def light_page(tx: Tx, queue: str, state: State, limit: int, cursor: int | None) -> Page:
    """`list_jobs` for a step that changes what it finds: no more than one transaction may touch."""
    page = list_jobs(tx, queue, (state,), limit=limit, cursor=cursor)
    some = light(page.jobs, lambda job: len(job.data or b"") + len(job.result or b""))
    return page if len(some) == len(page.jobs) else Page(some, some[-1].seq)


def counts(tx: Tx, queue: str) -> Counts:
    """Jobs by state; zeros for an unknown queue."""
    row = tx.queues.find(queue)
    return Counts() if row is None else _counts(row)


def expired(tx: Tx, queue: str) -> int:
    """Jobs that their ttl has removed since the queue is there."""
    row = tx.queues.find(queue)
    return 0 if row is None else row.n[EXPIRED]


def is_paused(tx: Tx, queue: str) -> bool:
    row = tx.queues.find(queue)
    return row is not None and row.paused


def queues(tx: Tx) -> list[QueueInfo]:
    return [QueueInfo(row.name, row.paused, _counts(row), row.n[EXPIRED]) for row in tx.queues.by_name.values()]


def oldest_waiting_ms(tx: Tx, queue: str) -> int | None:
    """Since when the first in line waits, Unix milliseconds; None if none waits."""
    row = tx.queues.find(queue)
    return None if row is None or not row.n[State.WAITING] else lists.oldest_waiting_ms(tx, row)


def oldest_ms(tx: Tx, row: QueueRow) -> int | None:
    """How long the first in line has been waiting; None if none waits. An index entry and eight rows."""
    since_ms = lists.oldest_waiting_ms(tx, row) if row.n[State.WAITING] else None
    return None if since_ms is None else max(0, tx.now_ms - since_ms)


def key_owner(tx: Tx, queue: str, key: str) -> str | None:
    """The id of the job that holds a deduplication key."""
    row = tx.queues.find(queue)
    owner = None if row is None else ids.key_owner(tx, row.id, key)
    return None if owner is None else owner.custom_id or tx.identity.public_id(owner.seq)


def free_key(tx: Tx, queue: str, key: str) -> bool:
    """Forget a deduplication key; whether there was one."""
    row = tx.queues.find(queue)
    return row is not None and ids.free_key(tx, row.id, key)


def free_key_of(tx: Tx, id: str) -> bool:
    """Forget the deduplication key of one job, if it holds it."""
    seq = rows.seq_of(tx, id)
    if seq is None:
        return False
    job, queue = rows.find(tx, id)
    dedup = job.options.dedup
    if dedup is None:
        return False
    owner = ids.key_owner(tx, queue.id, dedup.key)
    return owner is not None and owner.seq == job.seq and ids.free_key(tx, queue.id, dedup.key)


def as_shown(tx: Tx, job: Job) -> Job:
    """A due job is shown as waiting before it is promoted."""
    if job.state is State.DELAYED and job.run_at_ms <= tx.now_ms:
        job.state = State.WAITING
    return job


def _counts(row: QueueRow) -> Counts:
    waiting, delayed, active, children, completed, failed = row.n[:6]
    raised = row.n[PRIORITIZED]
    if row.paused:
        return Counts(0, 0, delayed, active, children, completed, failed, paused=waiting)
    return Counts(waiting - raised, raised, delayed, active, children, completed, failed)
