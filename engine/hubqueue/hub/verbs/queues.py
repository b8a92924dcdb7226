"""Whole queues: pause, resume, drain, obliterate, clean, purge. Long work comes in slices the hub repeats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hubqueue.errors import NotFound, WrongState
from hubqueue.hub.verbs import rows
from hubqueue.hub.verbs.bury import bound_dead
from hubqueue.model.job import PLAIN, History, NewJob, flags_of, history_blob, options_blob
from hubqueue.model.state import Move, State
from hubqueue.store import jobs, lists, queue_settings
from hubqueue.store import queues as store_queues
from hubqueue.store.slices import SLICE
from hubqueue.store.tx import Tx

# Jobs that somebody still wants something of.
HELD: Final = tuple(state for state in State if state is not State.COMPLETED)


def pause(tx: Tx, queue: str) -> None:
    """Hand out no more jobs of this queue; running ones go on."""
    row = rows.queue_row(tx, queue)
    if not row.paused:
        tx.execute(store_queues.PAUSE, (1, row.id))
        row.paused = True
        tx.undo.append(lambda: setattr(row, "paused", False))
        tx.emit("paused", queue, "")


def resume(tx: Tx, queue: str) -> None:
    row = rows.queue_row(tx, queue)
    if row.paused:
        tx.execute(store_queues.PAUSE, (0, row.id))
        row.paused = False
        tx.undo.append(lambda: setattr(row, "paused", True))
        tx.emit("resumed", queue, "")
        if row.n[State.WAITING]:
            tx.available(row, row.n[State.WAITING])
        if row.n[State.DELAYED]:
            tx.due(tx.now_ms)


def remove_slice(tx: Tx, queue: str, state: State, limit: int = SLICE) -> int:
    """Remove the oldest jobs of a state: drain and purge are this, repeated until it answers 0."""
    row = tx.queues.find(queue)
    if row is None:
        return 0
    oldest = lists.heads(tx, row.id, state, limit)
    rows.remove(tx, row, Move.CLEAN, state, oldest)
    return len(oldest)


def remove_dead(tx: Tx, queue: str, id: str) -> bool:
    """Remove one dead letter of a queue; whether there was one."""
    seq = rows.seq_of(tx, id)
    found = None if seq is None else jobs.get(tx, seq)
    if found is None or found[0].state is not State.FAILED or found[1].name != queue:
        return False
    job, row = found
    rows.remove(tx, row, Move.CLEAN, State.FAILED, [(job.seq, job.flags, job.priority)])
    return True


def clean_slice(
    tx: Tx, queue: str, state: State, before_ms: int, after_seq: int, limit: int
) -> tuple[list[str], int | None]:
    """Remove jobs of a state that are older than `before_ms`: (their ids, last seq looked at or None at the end)."""
    row = tx.queues.find(queue)
    if row is None:
        return [], None
    old, last = lists.all_aged(tx, row, state, before_ms, after_seq, limit)
    removed = [rows.id_of(tx, seq, flags) for seq, flags, _ in old]
    rows.remove(tx, row, Move.CLEAN, state, old)
    return removed, last


def obliterate(tx: Tx, queue: str, *, force: bool = True) -> None:
    """Drop a queue with all its jobs at once: its name is free, maintenance deletes the rows in slices.

    force False: only one that holds no job but completed ones. Errors then: NotFound, WrongState.
    """
    row = tx.queues.find(queue)
    if row is None:
        if not force:
            raise NotFound(f"There is no queue {queue}")
        return
    held = sum(row.n[state] for state in HELD)
    if held and not force:
        raise WrongState(
            f"The queue {queue} holds {held} {'job' if held == 1 else 'jobs'}",
            hint="they wait, run or are dead letters: let them be done, delete them, or delete the queue by force",
        )
    tx.execute(store_queues.DOOM, (row.id,))
    tx.execute(store_queues.FORGET, (row.id,))
    tx.execute(store_queues.FORGET_COUNTER, (row.id,))
    queue_settings.forget(tx, queue)
    tx.queues.drop(row)
    tx.undo.append(lambda: tx.queues.restore(row))
    tx.due(tx.now_ms)


def bury_new(tx: Tx, queue: str, dead: Sequence[tuple[NewJob, str, str | None]]) -> list[str]:
    """Keep messages that cannot become jobs as dead letters: (job, reason, error). Bounded like any DLQ."""
    refusal = tx.refusal()
    if refusal is not None:
        raise refusal
    first = tx.seqs.take(len(dead))
    row = rows.queue_row(tx, queue)
    state = Move.SET_ASIDE.to(None, State.FAILED)
    for seq, (job, reason, error) in enumerate(dead, first):
        options = job.options or PLAIN
        jobs.insert(
            tx,
            jobs.NewRow(
                seq=seq,
                queue=row.id,
                state=state,
                flags=flags_of(options, None),
                priority=job.priority,
                ord=tx.ord_ms,
                run_at_ms=tx.now_ms,
                created_at_ms=tx.now_ms,
                attempts=0,
                max_attempts=job.max_attempts,
                finished_at_ms=tx.now_ms,
                expires_at_ms=None,
                name=job.name,
                custom_id=None,
                grp=None,
                options=options_blob(options),
                history=history_blob(History(reason=reason, error=error)),
                data=job.data,
            ),
        )
        tx.count(row, state, 1)
        tx.emit("failed", queue, tx.identity.public_id(seq), error=error, terminal=True)
    bound_dead(tx, row)
    return [tx.identity.public_id(seq) for seq in range(first, first + len(dead))]
