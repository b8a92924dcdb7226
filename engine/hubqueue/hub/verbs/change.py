"""Changes to single jobs from outside a run: cancel, discard, promote, delay, priority, data, retry."""

from __future__ import annotations

from typing import Final

import msgspec

from hubqueue.errors import HubqueueError, Invalid, NotFound, WrongState
from hubqueue.hub.verbs import rows
from hubqueue.hub.verbs.available import queued
from hubqueue.hub.verbs.bury import bury
from hubqueue.hub.verbs.ingest import UNROUTABLE
from hubqueue.hub.verbs.reroute import reroute
from hubqueue.hub.verbs.tokens import check_token
from hubqueue.model.flowdata import replaced
from hubqueue.model.job import Flag, Job, history_blob
from hubqueue.model.retry import in_time_ms
from hubqueue.model.state import LABELS, QUEUED, TERMINAL, Move, State, due_state
from hubqueue.model.verbs import Retried
from hubqueue.store import changes, ids, lists
from hubqueue.store.queues import PRIORITIZED, QueueRow
from hubqueue.store.tx import Tx

SNOOZE_HINTS: Final = {
    State.ACTIVE: "its worker can release it with a delay",
    State.COMPLETED: "retry it first",
    State.FAILED: "retry it first",
}


def cancel(tx: Tx, id: str, *, active: bool = False) -> None:
    """Remove a job that has not started. active: mark a running one too; its worker's heartbeat is told.

    Errors: NotFound.
    """
    text = "Job not found or cannot be cancelled"
    job, queue = rows.find(tx, id, text)
    if job.state is State.ACTIVE and active:
        changes.set_flags(tx, job.seq, job.flags | Flag.CANCELLED)
        return
    if job.state not in Move.CANCEL.sources:
        raise NotFound(text)
    tx.emit("removed", queue.name, id, prev="waiting")
    _durable(tx, job)
    rows.remove(tx, queue, Move.CANCEL, job.state, [(job.seq, job.flags, job.priority)])


def discard(tx: Tx, id: str, token: str | None = None) -> None:
    """Make a queued or active job a dead letter. Errors: NotFound, LockLost, LockRequired."""
    job, queue = rows.find(tx, id)
    if job.state not in Move.DISCARD.sources:
        raise NotFound("Job not found")
    check_token(tx, job, token)
    _durable(tx, job)
    tx.count_job(queue, job.state, job.priority, -1)
    bury(tx, job, queue, Move.DISCARD, job.history, "discarded", None, fence=True)


def promote(tx: Tx, id: str) -> None:
    """A delayed job waits at once. Errors: NotFound."""
    text = "Job not found or not delayed"
    job, queue = rows.find(tx, id, text)
    if job.state not in Move.PROMOTE.sources:
        raise NotFound(text)
    _move(tx, job, queue, Move.PROMOTE, tx.now_ms)


def promote_some(tx: Tx, queue: str, limit: int, after: int) -> tuple[int, int]:
    """A slice of the oldest delayed jobs of a queue behind `after` waits at once: (how many, the last of them)."""
    row = tx.queues.find(queue)
    if row is None:
        return 0, after
    promoted = lists.heads(tx, row.id, State.DELAYED, limit, after=after)
    state = Move.PROMOTE.to(State.DELAYED, State.WAITING)
    for seq, flags, priority in promoted:
        tx.count_job(row, State.DELAYED, priority, -1)
        ord = -seq if flags & Flag.LIFO else tx.ord_ms
        changes.move(tx, seq, state, ord, tx.now_ms, flags & ~Flag.ABSOLUTE, fence=False)
        queued(tx, row, state, priority, tx.now_ms, None)
    return len(promoted), promoted[-1][0] if promoted else after


def update(tx: Tx, id: str, data: bytes | None) -> None:
    """Replace the data of a job that has not finished; what it says about a flow stays. Errors: NotFound, Invalid."""
    text = "Job not found or cannot be updated"
    job, _ = rows.find(tx, id, text)
    if job.state in TERMINAL:
        raise NotFound(text)
    options = job.options
    if options.parent_id is not None or options.children_ids:
        data = replaced(job.data, data)
    _durable(tx, job)
    changes.set_data(tx, job.seq, data)


def change_priority(tx: Tx, id: str, priority: int | None, lifo: bool | None = None) -> None:
    """Sort a queued job anew; None keeps what it has. Errors: NotFound."""
    text = "Job not found or not in queue"
    job, queue = rows.find(tx, id, text)
    if job.state not in QUEUED:
        raise NotFound(text)
    flags, ord = job.flags, changes.ord_of(tx, job.seq)
    priority = job.priority if priority is None else priority
    if lifo is not None and lifo != bool(flags & Flag.LIFO):
        flags ^= Flag.LIFO
        ord = -job.seq if lifo else max(job.run_at_ms, job.created_at_ms)
    changes.set_priority(tx, job.seq, priority, ord, flags)
    if job.state is State.WAITING:
        tx.count(queue, PRIORITIZED, (priority > 0) - (job.priority > 0))


def change_delay(tx: Tx, id: str, delay_ms: int, token: str | None = None) -> None:
    """A queued or active job is to be run `delay_ms` from now; its worker's token is void.

    Errors: NotFound, LockLost, LockRequired.
    """
    text = "Job not found or cannot change delay"
    job, queue = rows.find(tx, id, text)
    if job.state not in Move.DELAY.sources:
        raise NotFound(text)
    check_token(tx, job, token)
    if job.state is State.ACTIVE:
        tx.emit("delayed", queue.name, id, delay_ms=delay_ms)
    _move(tx, job, queue, Move.DELAY, tx.now_ms + max(0, delay_ms))


def snooze(tx: Tx, id: str, *, until_ms: int | None = None, delay_ms: int | None = None) -> None:
    """A queued job waits until then, or so long from now; nothing is counted. A time that is past means now.

    Errors: NotFound, WrongState, both naming the job; Invalid unless there is one of the two times, and it lies before
    the job's end (ttl, keepTrying).
    """
    if (until_ms is None) == (delay_ms is None):
        raise Invalid("one of until and delay is needed", hint="until is a time, delay counts from now")
    job, queue = rows.find(tx, id, f"Job '{id}' not found")
    if job.state not in Move.SNOOZE.sources:
        raise WrongState(f"Job '{id}' is {LABELS[job.state]} and cannot be snoozed", hint=SNOOZE_HINTS.get(job.state))
    run_at_ms = max(tx.now_ms, tx.now_ms + (delay_ms or 0) if until_ms is None else until_ms)
    if job.expires_at_ms is not None and run_at_ms >= job.expires_at_ms > tx.now_ms:
        raise Invalid(f"Job '{id}' ends before that time", hint="its ttl or keepTrying is over then")
    if run_at_ms > tx.now_ms:
        tx.emit("delayed", queue.name, id, delay_ms=run_at_ms - tx.now_ms)
    _move(tx, job, queue, Move.SNOOZE, run_at_ms, absolute=until_ms is not None and run_at_ms > tx.now_ms)


def move_to_delayed(tx: Tx, id: str, delay_ms: int, token: str | None = None) -> None:
    """change_delay with the protocol's other error texts. Errors: NotFound, WrongState, LockLost, LockRequired."""
    job, _ = rows.find(tx, id)
    if job.state not in Move.DELAY.sources:
        raise WrongState(f"Job is not active (current state: {LABELS[job.state]})")
    change_delay(tx, id, delay_ms, token)


def move_to_wait(tx: Tx, id: str, token: str | None = None) -> Retried:
    """Let a job wait: a delayed one is promoted, an active one taken back, a dead one retried.

    Errors: WrongState, LockLost, LockRequired.
    """
    seq = rows.seq_of(tx, id)
    if seq is None:
        raise WrongState("Cannot move job from state 'unknown' to waiting")
    job, queue = rows.find(tx, id, "Cannot move job from state 'unknown' to waiting")
    if job.state is State.WAITING:
        return Retried(again=1)
    if job.state is State.FAILED:
        return _restart(tx, job, queue)
    if job.state not in Move.DELAY.sources:
        raise WrongState(f"Cannot move job from state '{LABELS[job.state]}' to waiting")
    check_token(tx, job, token)
    if job.state is State.ACTIVE:
        tx.emit("waiting", queue.name, id, prev="active")
    _move(tx, job, queue, Move.DELAY, tx.now_ms)
    return Retried(again=1)


def retry(tx: Tx, id: str) -> Retried:
    """A completed or dead job waits again with all its attempts; a message of `_unroutable` is routed again.

    Errors: NotFound, WrongState.
    """
    job, queue = rows.find(tx, id)
    if job.state not in Move.RETRY.sources:
        raise WrongState(f"Job has not finished (current state: {LABELS[job.state]})")
    return _restart(tx, job, queue)


def refusal(retried: Retried) -> HubqueueError | None:
    """What to say of one job that was to run again and stays as it is."""
    if not retried.kept:
        return None
    return WrongState(retried.why)


def retry_some(
    tx: Tx, queue: str, state: State, after_seq: int, limit: int, before_ms: int | None = None
) -> tuple[Retried, int | None]:
    """Retry a slice of the completed or dead jobs of a queue, oldest first: (how many, last seq looked at or None)."""
    done = Retried()
    row = tx.queues.find(queue)
    if row is None:
        return done, None
    before = tx.now_ms if before_ms is None else before_ms
    slice, last = lists.all_aged(tx, row, state, before, after_seq, limit)
    for seq, _, _ in slice:
        job, _ = rows.find(tx, tx.identity.public_id(seq))
        done += _restart(tx, job, row)
    return done, last


def retry_by_itself(tx: Tx, job: Job, queue: QueueRow) -> None:
    """Retry a dead letter whose time has come by its queue's settings; it stays one where that cannot be."""
    history = msgspec.structs.replace(
        job.history, retries=job.history.retries + 1, retried_at_ms=tx.now_ms, retry_at_ms=None
    )
    job.history_blob = history_blob(history)
    if _is_message(job, queue) or _restart(tx, job, queue).kept:
        changes.keep_dead(tx, job.seq, job.history_blob)


def _is_message(job: Job, queue: QueueRow) -> bool:
    """Whether it never was a job: messages are routed again when somebody has changed something, not by the clock."""
    return queue.name == UNROUTABLE and job.state is State.FAILED


def _restart(tx: Tx, job: Job, queue: QueueRow) -> Retried:
    if _is_message(job, queue):
        return reroute(tx, job, queue)
    if job.custom_id is not None:
        owner = ids.owner_of(tx, job.custom_id)
        if owner is not None and owner.seq != job.seq and owner.unfinished:
            return Retried(kept=1, why="the job cannot be run again: its id is another job's now")
        ids.claim(tx, job.custom_id, job.seq)
    dedup = job.options.dedup
    if dedup is not None:
        holder = ids.key_owner(tx, queue.id, dedup.key)
        if holder is not None and holder.seq != job.seq:
            return Retried(kept=1, why="the job cannot be run again: its deduplication key is another job's now")
        ids.claim_key(tx, queue.id, dedup, job.seq)
    _durable(tx, job)
    tx.count_job(queue, job.state, job.priority, -1)
    history = msgspec.structs.replace(job.history, retry_at_ms=None)
    state = Move.RETRY.to(job.state, State.WAITING)
    changes.restart(tx, job.seq, state, history_blob(history), job.options.keep_trying_ms)
    queued(tx, queue, state, job.priority, tx.now_ms, None)
    return Retried(again=1)


def _move(tx: Tx, job: Job, queue: QueueRow, move: Move, run_at_ms: int, *, absolute: bool = False) -> None:
    """absolute: a time that was named, which a jump of the clock does not shift."""
    tx.count_job(queue, job.state, job.priority, -1)
    if job.flags & Flag.KEEP_TRYING and job.expires_at_ms is not None:
        run_at_ms = in_time_ms(run_at_ms, job.expires_at_ms, tx.now_ms) or run_at_ms
    state = move.to(job.state, due_state(run_at_ms, tx.now_ms))
    ord = -job.seq if job.flags & Flag.LIFO else tx.ord_ms
    fence = job.state is State.ACTIVE
    flags = job.flags | Flag.ABSOLUTE if absolute else job.flags & ~Flag.ABSOLUTE
    changes.move(tx, job.seq, state, ord, run_at_ms, flags, fence=fence)
    queued(tx, queue, state, job.priority, run_at_ms, job.expires_at_ms)


def _durable(tx: Tx, job: Job) -> None:
    if job.flags & Flag.DURABLE:
        tx.durable = True
