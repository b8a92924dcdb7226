"""overflow: jobs of sources that cannot be told "later" wait in `_overflow` while their queue is full, and go back.

Rules: while jobs of a queue wait here, newer ones for it go behind them, so its order is kept. A job keeps its number
and id: it goes back in one UPDATE, with the options it came with; its delay and time to live count from its arrival.
"""

from __future__ import annotations

from typing import Final

import msgspec

from hubqueue.errors import QueueFull
from hubqueue.hub.verbs import rows
from hubqueue.hub.verbs.available import queued
from hubqueue.hub.verbs.enqueue import deduplicate, enqueue, is_known
from hubqueue.model.job import PLAIN, Flag, NewJob, Options, decode_options, flags_of, options_blob
from hubqueue.model.state import Move, State, due_state
from hubqueue.store import ids, jobs, overflow
from hubqueue.store.queues import QueueRow
from hubqueue.store.tx import Tally, Tx

OVERFLOW: Final = "_overflow"
MAX_OVERFLOW: Final = 10_000  # jobs that wait there; beyond it they are dropped and counted


def park(tx: Tx, queue: str, job: NewJob) -> str | None:
    """Keep a job that its queue has no room for; its id, or None where there is no room either.

    Errors: Duplicate for an own id that a job of another queue has.
    """
    if job.custom_id is not None and is_known(tx, queue, job.custom_id):
        return job.custom_id
    there = _there(tx)
    if there is not None and there.n[State.WAITING] + there.n[State.DELAYED] >= MAX_OVERFLOW:
        return None
    options = job.options or PLAIN
    # the tag is for people; a deduplication key is the queue's own, and claimed there
    here = msgspec.structs.replace(options, tags=(*options.tags, f"queue:{queue}"), dedup=None)
    try:
        (id,) = enqueue(tx, OVERFLOW, [msgspec.structs.replace(job, options=here)])
    except QueueFull:
        return None
    overflow.park(tx, rows.find(tx, id)[0].seq, queue, options_blob(options))
    return id


def waits(tx: Tx, queue: str) -> bool:
    """Whether jobs of this queue wait here: newer ones go behind them."""
    there = _there(tx)
    return there is not None and overflow.waits(tx, queue, there.id)


def freed(tx: Tx, row: QueueRow) -> None:
    """There may be room in this queue again: maintenance looks, if jobs of it may wait here."""
    if _there(tx) is not None and tx.bounds(row.name).max_jobs is not None:
        tx.due(tx.now_ms)


def give_back(tx: Tx, limit: int) -> int:
    """At most so many jobs go back to the queues that have room again; how many."""
    if _there(tx) is None or tx.refusal() is not None:
        return 0
    done = 0
    for queue in overflow.queues(tx):
        if done < limit:
            done += give_back_to(tx, queue, limit - done)
    return done


def give_back_to(tx: Tx, queue: str, limit: int) -> int:
    """At most so many jobs of this queue go back to it, in order, as far as there is room; how many."""
    there = _there(tx)
    if there is None:
        return 0
    done = 0
    for seq, options in overflow.first(tx, queue, there.id, limit):
        if not has_room(tx, queue):
            break
        try:
            _return(tx, there, rows.queue_row(tx, queue), seq, PLAIN if options is None else decode_options(options))
        except QueueFull:  # there can be no more queues
            break
        done += 1
    return done


def has_room(tx: Tx, queue: str) -> bool:
    """Whether the queue takes one more job."""
    most, row = tx.bounds(queue).max_jobs, tx.queues.find(queue)
    return most is None or row is None or row.n[State.WAITING] + row.n[State.DELAYED] < most


def prune(tx: Tx) -> None:
    """Forget where jobs belong that have been removed."""
    row = tx.queues.find(OVERFLOW)
    overflow.prune(tx, -1 if row is None else row.id)


def _return(tx: Tx, there: QueueRow, row: QueueRow, seq: int, options: Options) -> None:
    found = jobs.get(tx, seq)
    assert found is not None
    job = found[0]
    if deduplicate(tx, row, options) is not None:  # another job stands for it now
        rows.remove(tx, there, Move.COME_BACK, job.state, [(seq, job.flags, job.priority)])
        overflow.forget(tx, seq)
        return
    if options.dedup is not None:
        ids.claim_key(tx, row.id, options.dedup, seq)
    if not options.durable and tx.bounds(row.name).durable:
        options = msgspec.structs.replace(options, durable=True)
    if options.durable:
        tx.durable = True
    state = Move.COME_BACK.to(job.state, due_state(job.run_at_ms, tx.now_ms))
    flags = (job.flags & ~flags_of(job.options, job.custom_id)) | flags_of(options, job.custom_id)
    ord = -seq if flags & Flag.LIFO else tx.ord_ms
    tx.count_job(there, job.state, job.priority, -1)
    overflow.move(tx, seq, row.id, state, ord, options_blob(options), flags)
    queued(tx, row, state, job.priority, job.run_at_ms, None)
    tx.tallies.append((row, Tally.PUSHED, 1))
    tx.emit("pushed", row.name, job.id)


def _there(tx: Tx) -> QueueRow | None:
    """The queue `_overflow`, where anything waits in it."""
    row = tx.queues.find(OVERFLOW)
    return row if row is not None and (row.n[State.WAITING] or row.n[State.DELAYED]) else None
