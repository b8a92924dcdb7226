"""Flows: jobs that wait for others, and what the end of a job does to those that wait for it.

A job with dependencies that have not completed is `waiting-children`; the last one that ends lets it go. A
dependency that fails holds its dependents until it is retried, unless it says otherwise (model.job.OnFailure).
Called by enqueue and settle; what a client does to a flow afterwards is in `kinship`.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from hubqueue.errors import Invalid, NotFound, WrongState
from hubqueue.hub.verbs import rows
from hubqueue.hub.verbs.available import queued
from hubqueue.model.flow import Ended
from hubqueue.model.flowdata import claimed_queue, with_children
from hubqueue.model.job import PENDING_PARENT, Flag, Job, Options, options_blob
from hubqueue.model.limits import MAX_RELATIVES
from hubqueue.model.state import QUEUED, UNSTARTED, Move, State, due_state
from hubqueue.store import changes, flows, jobs
from hubqueue.store.queues import QueueRow
from hubqueue.store.tx import Tx


def wait_for(tx: Tx, id: str, depends_on: Sequence[str], children: Sequence[str]) -> None:
    """A queued job waits until these jobs have completed. Call inside a savepoint.

    Errors: NotFound.
    """
    job, queue = rows.find(tx, id)
    wanted = set(children)
    for place, other in enumerate(dict.fromkeys(depends_on)):
        tie(tx, job, other, place, child=other in wanted)
    flows.mark(tx, job.seq, Flag.DEPENDENT)
    if flows.pending(tx, job.seq):
        _hold(tx, job, queue)


def join(tx: Tx, id: str) -> None:
    """A new job becomes a child of the parent that its data names, if it names one. Call inside a savepoint.

    Errors: Invalid, NotFound, WrongState.
    """
    child, _ = rows.find(tx, id)
    parent_id = child.options.parent_id
    if parent_id in (None, PENDING_PARENT):
        return
    wanted = claimed_queue(parent_id, child.data)
    if wanted is None:
        return
    if parent_id == id:
        raise Invalid("A job cannot be its own parent")
    parent, queue = rows.find(tx, parent_id, f"Parent job not found: {parent_id}")
    if queue.name != wanted:
        raise Invalid(f"Parent job {parent_id} belongs to queue {queue.name}, not {wanted}")
    check_adoption(tx, parent, child)
    adopt(tx, parent, queue, id)


def check_adoption(tx: Tx, parent: Job, child: Job) -> None:
    """Whether a job may get one more child to wait for. Errors: Invalid, WrongState."""
    if parent.state not in UNSTARTED:
        raise WrongState(f"Parent job {parent.id} is not linkable")
    if len(parent.options.children_ids) >= MAX_RELATIVES:
        raise Invalid(f"Parent job {parent.id} has {MAX_RELATIVES} children already")
    if _reaches(tx, child.seq, parent.seq):
        raise Invalid("flow contains a dependency cycle")


def adopt(tx: Tx, parent: Job, queue: QueueRow, child_id: str) -> None:
    """A parent that has not started gets one more child, and waits for it. `check_adoption` first."""
    kept = parent.options
    children = (*kept.children_ids, child_id)
    depends_on = kept.depends_on if child_id in kept.depends_on else (*kept.depends_on, child_id)
    set_options(tx, parent, msgspec.structs.replace(kept, depends_on=depends_on, children_ids=children))
    changes.set_data(tx, parent.seq, with_children(parent.data, children))
    tie(tx, parent, child_id, len(kept.depends_on), child=True)
    flows.mark(tx, parent.seq, Flag.DEPENDENT)
    if parent.state in QUEUED and flows.pending(tx, parent.seq):
        _hold(tx, parent, queue)


def completed(tx: Tx, seq: int, result: bytes | None) -> None:
    """A job that others wait for, or waited for, has completed."""
    for edge in flows.on(tx, seq):
        if edge.outcome == Ended.PENDING:
            flows.end(tx, edge, Ended.DONE, result)
            let_go(tx, edge.dependent)
        elif edge.outcome == Ended.DONE and not edge.valued:  # the dependent went on without it, or it ran again
            flows.end(tx, edge, Ended.DONE, result)


def ignore_failure(tx: Tx, edge: flows.Edge, error: str | None, *, recorded: bool) -> None:
    """A child failed, and its parent no longer waits for it."""
    if recorded:
        flows.end(tx, edge, Ended.IGNORED, _text(error))
    else:
        flows.cut(tx, edge)
    let_go(tx, edge.dependent, prev="waiting-children")


def go_on(tx: Tx, edge: flows.Edge, error: str | None) -> None:
    """A child failed, and its parent runs at once all the same."""
    flows.end(tx, edge, Ended.FAILED, _text(error))
    flows.end_all(tx, edge.dependent)
    let_go(tx, edge.dependent, prev="waiting-children")


def let_go(tx: Tx, seq: int, prev: str | None = None) -> None:
    """Queue a job if nothing is left that it waits for. prev: tell so in an event."""
    waiter = flows.waiter(tx, seq)
    if waiter is None or waiter.state != State.WAITING_CHILDREN or flows.pending(tx, seq):
        return
    queue = tx.queues.by_id.get(waiter.queue)
    if queue is None:
        return
    state = Move.GO_ON.to(waiter.state, due_state(waiter.run_at_ms, tx.now_ms))
    ord = -seq if waiter.flags & Flag.LIFO else max(tx.ord_ms, waiter.run_at_ms)
    flows.let_go(tx, seq, state, ord)
    tx.count(queue, State.WAITING_CHILDREN, -1)
    queued(tx, queue, state, waiter.priority, waiter.run_at_ms, waiter.ends_at_ms)
    if prev is not None:
        tx.emit("waiting", queue.name, rows.id_of(tx, seq, waiter.flags), prev=prev)


def tie(tx: Tx, dependent: Job, other: str, place: int, *, child: bool) -> None:
    """The dependent waits for another job, unless that has completed. Errors: NotFound."""
    seq = rows.seq_of(tx, other)
    found = None if seq is None or seq == dependent.seq else jobs.get(tx, seq)
    if found is None:
        raise NotFound(f"Dependency job not found: {other}")
    dependency, queue = found
    done = dependency.state is State.COMPLETED
    outcome = Ended.DONE if done else Ended.PENDING
    label = f"{queue.name}:{other}"
    flows.add(tx, flows.Edge(dependent.seq, dependency.seq, int(child), outcome, place, label), dependency.result)
    flows.mark(tx, dependency.seq, Flag.DEPENDED)


def set_options(tx: Tx, job: Job, options: Options) -> None:
    """Store changed options of a job."""
    job.options_blob = options_blob(options)
    flows.set_options(tx, job.seq, job.options_blob)


def _hold(tx: Tx, job: Job, queue: QueueRow) -> None:
    tx.count_job(queue, job.state, job.priority, -1)
    flows.hold(tx, job.seq, Move.WAIT.to(job.state, State.WAITING_CHILDREN))
    tx.count(queue, State.WAITING_CHILDREN, 1)


def _reaches(tx: Tx, start: int, goal: int) -> bool:
    """Whether `start` waits, directly or not, for `goal`."""
    seen, left = {start}, [start]
    while left:
        for edge in flows.of(tx, left.pop()):
            if edge.dependency == goal:
                return True
            if edge.dependency not in seen:
                seen.add(edge.dependency)
                left.append(edge.dependency)
    return False


def _text(error: str | None) -> bytes:
    return msgspec.msgpack.encode(error or "failed")
