"""complete, fail, release and settle: how a leased job ends. A stale token changes nothing.

The token's lease number must be the row's (engine-rules 12). A token whose job was already settled by that very
lease is not an error but "already finalized": a client that resends after a lost answer sees that it was done.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from hubqueue.errors import Invalid, LockLost, LockRequired, NotFound, WrongState
from hubqueue.hub.verbs import flow, repeat, rows, times
from hubqueue.hub.verbs.available import queued
from hubqueue.hub.verbs.bury import bury
from hubqueue.hub.verbs.enqueue import enqueue
from hubqueue.model import retry
from hubqueue.model.job import Attempt, Flag, History, Job, Options, history_blob, last_error
from hubqueue.model.limits import MAX_ERROR_CHARS, MAX_HISTORY, MAX_STACK_LINES
from hubqueue.model.outcome import Blob, Complete, Fail, Outcome, Output, Reject, Release, Retry, Settlement
from hubqueue.model.state import TERMINAL, Move, State, due_state
from hubqueue.store import blobs as store_blobs
from hubqueue.store import ids, jobs
from hubqueue.store.queues import QueueRow
from hubqueue.store.tx import Tally, Tx

Completion = tuple[str, str | None, bytes | None, bool | None]
"""(id, token, result, remove); token None for a job leased without an owner; remove None: as the job says."""


def complete(tx: Tx, done: Sequence[Completion]) -> list[int]:
    """Complete active jobs, all or none; the indexes of those this very lease had settled already.

    Errors: NotFound, LockLost, LockRequired: for the first bad one, before anything is changed.
    """
    found = _grips(tx, [id for id, _, _, _ in done])
    applied: dict[int, tuple[jobs.LeaseRow, bytes | None, bool]] = {}
    ignored = []
    for index, ((id, token, result, remove), row) in enumerate(zip(done, found, strict=True)):
        if not _holds(tx, id, token, row) or row.seq in applied:
            ignored.append(index)
        else:
            gone = bool(row.flags & Flag.REMOVE_ON_COMPLETE) if remove is None else remove
            applied[row.seq] = (row, result, gone)
    _complete(tx, list(applied.values()))
    tx.settled += [id for id, _, _, _ in done]
    return ignored


def _complete(tx: Tx, done: Sequence[tuple[jobs.LeaseRow, bytes | None, bool]]) -> None:
    identified = []
    kept: list[int] = []
    results: list[bytes | None] = []
    completed: dict[int, int] = {}
    repeated = []
    removed: dict[int, list[tuple[int, int, int]]] = {}
    queues = tx.queues.by_id
    for row, result, gone in done:
        flags = row.flags
        if flags:
            if flags & Flag.DURABLE:
                tx.durable = True
            if flags & ids.IDENTIFIED:
                identified.append(row.seq)
            if flags & Flag.DEPENDED:
                flow.completed(tx, row.seq, result)
            if flags & Flag.REPEAT:
                repeated.append(row.seq)
        if gone and not flags & Flag.ORPHAN:
            removed.setdefault(row.queue, []).append((row.seq, flags, row.priority))
        else:
            kept.append(row.seq)
            results.append(result)
            completed[row.queue] = completed.get(row.queue, 0) + 1
        if tx.awaited:
            rows.notify(tx, row.seq, State.COMPLETED)
        if tx.subscribers and tx.watched(name := queues[row.queue].name):
            tx.emit("completed", name, rows.id_of(tx, row.seq, flags), data=result)
    for queue_id, count in completed.items():
        queue = queues[queue_id]
        tx.count(queue, State.ACTIVE, -count)
        tx.counts(queue)[State.COMPLETED] += count
        tx.tallies.append((queue, Tally.COMPLETED, count))
    times.ran(tx, done)
    if identified:
        ids.finished(tx, identified, gone=False)
    instances = [jobs.get(tx, seq) for seq in repeated]
    if kept:
        jobs.complete(tx, kept, results)
    for queue_id, gone_rows in removed.items():
        rows.remove(tx, queues[queue_id], Move.COMPLETE, State.ACTIVE, gone_rows)
        tx.tallies.append((queues[queue_id], Tally.COMPLETED, len(gone_rows)))
    for instance in instances:
        if instance is not None:
            repeat.succeed(tx, *instance)


def fail(tx: Tx, id: str, token: str | None, outcome: Outcome) -> bool:
    """End a run with Fail, Retry, Reject or Release. False: this very lease had settled it already.

    Errors: NotFound, LockLost, LockRequired.
    """
    (row,) = _grips(tx, [id])
    held = _holds(tx, id, token, row)
    if held:
        _end(tx, row, outcome)
    tx.settled.append(id)
    return held


def settle(
    tx: Tx,
    settlements: Sequence[Settlement],
    outputs: Sequence[Output] = (),
    blobs: Sequence[Blob] = (),
    expects: Sequence[Blob] = (),
) -> list[str]:
    """End leased jobs, enqueue outputs and store blobs in one transaction, all or nothing; ids of the outputs.

    A settlement that this very lease has made already makes the whole settle a repetition: nothing is done twice.
    expects: WrongState unless these blobs are stored as they are given; what several writers share is safe by it.
    Errors: NotFound, LockLost, LockRequired, QueueFull, DiskFull, Invalid.
    """
    if len({each.id for each in settlements}) < len(settlements):
        raise Invalid("A job is settled twice in one settle", hint="name each job once")
    found = _grips(tx, [each.id for each in settlements])
    held = [_holds(tx, each.id, each.token, row) for each, row in zip(settlements, found, strict=True)]
    if held and not any(held):
        for each, row in zip(settlements, found, strict=True):
            if isinstance(each.outcome, Complete) and row.state != State.COMPLETED:
                raise LockLost(f"Invalid or expired lock token for job {each.id}")  # its timeout came before
        return []
    for blob in expects:
        if store_blobs.get(tx, blob.namespace, blob.key) != blob.value:
            raise WrongState(f"Blob is not as expected: {blob.namespace} {blob.key}")
    with tx.savepoint():
        completed = []
        for each, row, current in zip(settlements, found, held, strict=True):
            if not current:
                raise LockLost(f"Job was settled before: {each.id}")
            if isinstance(each.outcome, Complete):
                remove = each.outcome.remove
                gone = bool(row.flags & Flag.REMOVE_ON_COMPLETE) if remove is None else remove
                completed.append((row, each.outcome.result, gone))
            else:
                _end(tx, row, each.outcome)
        _complete(tx, completed)
        made = []
        for output in outputs:
            made += enqueue(tx, output.queue, [output.job])
        for blob in blobs:
            store_blobs.put(tx, blob.namespace, blob.key, blob.value)
        tx.settled += [each.id for each in settlements]
        return made


def attempt_failed(
    tx: Tx,
    job: Job,
    queue: QueueRow,
    move: Move,
    *,
    reason: str,
    error: str | None,
    stack: tuple[str, ...] = (),
    delay_ms: int | None = None,
    final: str | None = None,
    fence: bool = False,
    remove: bool | None = None,
    lapsed: str | None = None,
) -> None:
    """Count a failed run of an active job: it is tried again later, or becomes a dead letter.

    reason: of this attempt, for the history; final: the dead letter's reason if it must not be tried again;
    delay_ms: None as the back-off says; fence: void the worker's token (it did not say so itself);
    lapsed: its lease ran out, which has been told, and only the end of the job is told besides, in these words.
    """
    job.attempts += 1
    history = _with_attempt(tx, job, reason, error, stack)
    if final is None and job.attempts >= job.max_attempts:
        final = reason if reason in ("timeout", "stalled", "worker_lost") else "max_attempts_exceeded"
    if final is None and job.flags & Flag.CANCELLED:
        final = "cancelled"
    if final is None and delay_ms is None:
        delay_ms = retry.delay_ms(_backoff(job.options), job.attempts, tx.system.chance())
    if final is None and _had_its_last_try(tx, job, delay_ms or 0):
        final, error, lapsed = "ttl_expired", error or timed_out(job), None
    if job.flags & Flag.DURABLE:
        tx.durable = True
    tx.count(queue, State.ACTIVE, -1)
    if final is not None:
        if lapsed is None:
            tx.emit("failed", queue.name, job.id, error=error, data=job.data, terminal=True)
        else:
            tx.emit("failed", queue.name, job.id, error=lapsed)
        bury(tx, job, queue, move, history, final, error, fence=fence, remove=remove)
        return
    if lapsed is None:
        tx.emit("failed", queue.name, job.id, error=error, data=job.data, terminal=False)
        tx.emit("retried", queue.name, job.id, prev="failed")
    put_back(tx, job, queue, move, delay_ms or 0, history, fence=fence)


def put_back(
    tx: Tx,
    job: Job,
    queue: QueueRow,
    move: Move,
    delay_ms: int,
    history: History,
    *,
    fence: bool,
    keep_place: bool = False,
) -> None:
    """Queue an active job again (its ACTIVE count is already taken back): in time for a last try, if it has an end."""
    run_at = tx.now_ms + delay_ms
    if job.flags & Flag.KEEP_TRYING and job.expires_at_ms is not None:
        run_at = retry.in_time_ms(run_at, job.expires_at_ms, tx.now_ms) or run_at
    state = move.to(job.state, due_state(run_at, tx.now_ms))
    ord = None if keep_place else -job.seq if job.flags & Flag.LIFO else tx.ord_ms
    jobs.requeue(tx, job, state, ord, run_at, history_blob(history), fence=fence)
    queued(tx, queue, state, job.priority, run_at, job.expires_at_ms)


def timed_out(job: Job) -> str:
    """The error of a job that was not done in its time: what the last try said, or that there was none."""
    tries = job.attempts + job.lost_count + job.stall_count
    return last_error(job.history) or ("no try said why it failed" if tries else "it was never tried")


def _had_its_last_try(tx: Tx, job: Job, delay_ms: int) -> bool:
    """Whether a failed job is to be tried only until now."""
    if not job.flags & Flag.KEEP_TRYING or job.expires_at_ms is None:
        return False
    return retry.in_time_ms(tx.now_ms + delay_ms, job.expires_at_ms, tx.now_ms) is None


def _backoff(options: Options) -> retry.Backoff:
    if options.backoff is not None:
        return options.backoff
    return retry.DEFAULT_BACKOFF if options.keep_trying_ms is None else retry.PATIENT_BACKOFF


def _end(tx: Tx, row: jobs.LeaseRow, outcome: Outcome) -> None:
    queue = tx.queues.by_id[row.queue]
    if isinstance(outcome, Release) and outcome.after_s <= 0 and not row.flags & Flag.CANCELLED:
        jobs.release(tx.db, row.seq, row.lease_no, fence=False)
        tx.count(queue, State.ACTIVE, -1)
        queued(tx, queue, State.WAITING, row.priority, tx.now_ms, tx.now_ms if row.flags & Flag.ENDS else None)
        return
    found = jobs.get(tx, row.seq)
    assert found is not None
    job, _ = found
    match outcome:
        case Release() if job.flags & Flag.CANCELLED:
            tx.count(queue, State.ACTIVE, -1)
            bury(tx, job, queue, Move.RELEASE, job.history, "cancelled", None)
        case Release(after_s=after_s):
            tx.count(queue, State.ACTIVE, -1)
            put_back(tx, job, queue, Move.RELEASE, _ms(after_s), job.history, fence=False)
        case Retry(after_s=after_s, error=error):
            attempt_failed(tx, job, queue, Move.FAIL, reason="explicit_fail", error=_cut(error), delay_ms=_ms(after_s))
        case Reject(reason=reason, stack=stack, remove=remove):
            attempt_failed(
                tx,
                job,
                queue,
                Move.FAIL,
                reason="rejected",
                error=_cut(reason),
                stack=stack,
                final="rejected",
                remove=remove,
            )
        case Fail(error=error, stack=stack, reason=reason, remove=remove):
            attempt_failed(tx, job, queue, Move.FAIL, reason=reason, error=_cut(error), stack=stack, remove=remove)
        case _:
            raise TypeError(f"not an outcome of a run: {outcome!r}")


def _grips(tx: Tx, wanted: Sequence[str]) -> list[jobs.LeaseRow]:
    """The lease_rows of these ids, in order. Errors: NotFound."""
    seq_of = tx.identity.seq_of
    seqs = [seq_of(id) or rows.seq_of(tx, id) for id in wanted]
    by_seq = jobs.lease_rows(tx, [seq for seq in seqs if seq is not None])
    found = []
    for id, seq in zip(wanted, seqs, strict=True):
        row = None if seq is None else by_seq.get(seq)
        if row is None:
            raise NotFound(f"Job not found or not in processing state: {id}")
        found.append(row)
    return found


def _holds(tx: Tx, id: str, token: str | None, row: jobs.LeaseRow) -> bool:
    """Whether the lease is current. False: this very lease has settled the job already. Errors: otherwise."""
    active = row.state == State.ACTIVE
    if not token:
        if not active:
            raise NotFound(f"Job not found or not in processing state: {id}")
        if row.owner is not None:
            raise LockRequired(f"Lock token required for job {id}")
        return True
    lease_no = tx.identity.lease_no_of(token, row.seq)
    if lease_no == row.lease_no:
        return active
    if row.state in TERMINAL:
        raise LockLost(f"Job not found or not in processing state: {id}")
    raise LockLost(f"Invalid or expired lock token for job {id}")


def _with_attempt(tx: Tx, job: Job, reason: str, error: str | None, stack: tuple[str, ...]) -> History:
    history = job.history
    attempt = Attempt(job.attempts, job.started_at_ms or job.created_at_ms, tx.now_ms, reason, error)
    lines = tuple(line[:MAX_ERROR_CHARS] for line in stack[:MAX_STACK_LINES])[: job.options.stack_trace_limit]
    return msgspec.structs.replace(
        history, attempts=(*history.attempts, attempt)[-MAX_HISTORY:], stack=lines or history.stack
    )


def _ms(seconds: float) -> int:
    return max(0, round(seconds * 1000))


def _cut(error: str | None) -> str | None:
    return None if error is None else error[:MAX_ERROR_CHARS]
