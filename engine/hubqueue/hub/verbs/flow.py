"""Flows: jobs that wait for others, what the end of a job does to those that wait for it, and the ties by hand.

A job with dependencies that have not completed is `waiting-children`; the last one that ends lets it go. A
dependency that fails holds its dependents until it is retried, unless it says otherwise (model.job.OnFailure).
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from hubqueue.errors import Invalid, NotFound, WrongState
from hubqueue.hub.verbs import rows
from hubqueue.hub.verbs.available import queued
from hubqueue.hub.verbs.tokens import check_token
from hubqueue.model.flow import Ended
from hubqueue.model.job import Flag, Job, Options, options_blob
from hubqueue.model.state import QUEUED, State
from hubqueue.store import changes, flows, jobs
from hubqueue.store.queues import QueueRow
from hubqueue.store.tx import Tx

PENDING_PARENT = "pending"  # older clients push children before their parent, with this instead of its id


def wait_for(tx: Tx, id: str, depends_on: Sequence[str], children: Sequence[str]) -> None:
    """A queued job waits until these jobs have completed. Call inside a savepoint.

    Errors: NotFound.
    """
    job, queue = rows.find(tx, id)
    wanted = set(children)
    for place, other in enumerate(dict.fromkeys(depends_on)):
        _tie(tx, job, other, place, child=other in wanted)
    flows.mark(tx, job.seq, Flag.DEPENDENT)
    if flows.pending(tx, job.seq):
        _hold(tx, job, queue)


def refuse_cycles(tx: Tx, ids: Sequence[str]) -> None:
    """Jobs of one batch that wait for each other in a circle. Errors: Invalid."""
    for id in ids:
        seq = rows.seq_of(tx, id)
        if seq is not None and _reaches(tx, seq, seq):
            raise Invalid(f"flow contains a dependency cycle: {id}")


def completed(tx: Tx, seq: int, result: bytes | None) -> None:
    """A job that others wait for has completed."""
    for edge in flows.on(tx, seq):
        if edge.outcome == Ended.PENDING:
            flows.end(tx, edge, Ended.DONE, result)
            _let_go(tx, edge.dependent)


def ignore_failure(tx: Tx, edge: flows.Edge, error: str | None, *, recorded: bool) -> None:
    """A child failed, and its parent no longer waits for it."""
    if recorded:
        flows.end(tx, edge, Ended.IGNORED, _text(error))
    else:
        flows.cut(tx, edge)
    _let_go(tx, edge.dependent)


def go_on(tx: Tx, edge: flows.Edge, error: str | None) -> None:
    """A child failed, and its parent runs at once all the same."""
    flows.end(tx, edge, Ended.FAILED, _text(error))
    flows.end_all(tx, edge.dependent)
    _let_go(tx, edge.dependent)


def update_parent(tx: Tx, child_id: str, parent_id: str) -> None:
    """Make a job a child of another one that has not started.

    Errors: Invalid, NotFound, WrongState.
    """
    if child_id == parent_id:
        raise Invalid("A flow job cannot be its own parent")
    child, _ = rows.find(tx, child_id, f"Child job not found: {child_id}")
    parent, queue = rows.find(tx, parent_id, f"Parent job not found: {parent_id}")
    owner = child.options.parent_id
    if owner not in (None, PENDING_PARENT, parent_id):
        raise Invalid(f"Child job {child_id} already belongs to parent {owner}")
    declared = child_id in parent.options.children_ids
    if not declared and parent.state not in (*QUEUED, State.WAITING_CHILDREN):
        raise WrongState(f"Parent job {parent_id} is not linkable")
    _set_options(tx, child, msgspec.structs.replace(child.options, parent_id=parent_id))
    if declared:
        return
    if _reaches(tx, child.seq, parent.seq):
        raise Invalid("flow contains a dependency cycle")
    kept = parent.options
    _set_options(
        tx,
        parent,
        msgspec.structs.replace(
            kept, depends_on=(*kept.depends_on, child_id), children_ids=(*kept.children_ids, child_id)
        ),
    )
    _tie(tx, parent, child_id, len(kept.depends_on), child=True)
    flows.mark(tx, parent.seq, Flag.DEPENDENT)
    if parent.state in QUEUED and flows.pending(tx, parent.seq):
        _hold(tx, parent, queue)


def move_to_waiting_children(tx: Tx, id: str, token: str | None) -> None:
    """An active parent waits for its children; with none pending it waits for a worker again.

    Errors: WrongState, LockLost, LockRequired.
    """
    job, queue = rows.find(tx, id, "Job is not active")
    if job.state is not State.ACTIVE:
        raise WrongState("Job is not active")
    check_token(tx, job, token)
    tx.emit("waiting-children", queue.name, id, prev="active")
    tx.count(queue, State.ACTIVE, -1)
    changes.move(tx, job.seq, State.WAITING_CHILDREN, tx.ord_ms, tx.now_ms, job.flags, fence=True)
    tx.count(queue, State.WAITING_CHILDREN, 1)
    _let_go(tx, job.seq)


def remove_child_dependency(tx: Tx, child_id: str) -> bool:
    """A parent no longer waits for this child; whether it did. Errors: NotFound, Invalid."""
    child, _ = rows.find(tx, child_id, f"Job not found: {child_id}")
    if child.options.parent_id in (None, PENDING_PARENT):
        raise Invalid(f"Job {child_id} has no parent")
    cut = False
    for edge in flows.on(tx, child.seq):
        if edge.child and edge.outcome == Ended.PENDING:
            flows.cut(tx, edge)
            _let_go(tx, edge.dependent, prev="waiting-children")
            cut = True
    return cut


def remove_unprocessed_children(tx: Tx, parent_id: str) -> None:
    """Cancel the children that have not started; the parent no longer waits for them."""
    seq = rows.seq_of(tx, parent_id)
    if seq is None:
        return
    for edge in flows.of(tx, seq):
        found = jobs.get(tx, edge.dependency) if edge.child and edge.outcome == Ended.PENDING else None
        if found is not None and found[0].state in (*QUEUED, State.WAITING_CHILDREN):
            child, queue = found
            flows.cut(tx, edge)
            tx.emit("removed", queue.name, child.id, prev="waiting")
            rows.remove(tx, queue, child.state, [(child.seq, child.flags, child.priority)])
    _let_go(tx, seq)


def children_values(tx: Tx, id: str) -> dict[str, bytes]:
    """Results of the completed children of a job, by `<queue>:<id>`."""
    return _values(tx, id, Ended.DONE)


def failed_children(tx: Tx, id: str) -> dict[str, bytes]:
    """Errors (MessagePack text) of children whose failure let the parent go on."""
    return _values(tx, id, Ended.FAILED)


def ignored_failures(tx: Tx, id: str) -> dict[str, bytes]:
    """Errors (MessagePack text) of children whose failure was ignored."""
    return _values(tx, id, Ended.IGNORED)


def _values(tx: Tx, id: str, outcome: Ended) -> dict[str, bytes]:
    seq = rows.seq_of(tx, id)
    edges = [] if seq is None else flows.of(tx, seq)
    return {
        edge.label: edge.value for edge in edges if edge.child and edge.outcome == outcome and edge.value is not None
    }


def _tie(tx: Tx, dependent: Job, other: str, place: int, *, child: bool) -> None:
    seq = rows.seq_of(tx, other)
    found = None if seq is None or seq == dependent.seq else jobs.get(tx, seq)
    if found is None:
        raise NotFound(f"Dependency job not found: {other}")
    dependency, queue = found
    done = dependency.state is State.COMPLETED
    outcome = Ended.DONE if done else Ended.PENDING
    label = f"{queue.name}:{other}"
    flows.add(tx, flows.Edge(dependent.seq, dependency.seq, int(child), outcome, place, label, dependency.result))
    flows.mark(tx, dependency.seq, Flag.DEPENDED)


def _hold(tx: Tx, job: Job, queue: QueueRow) -> None:
    tx.count_job(queue, job.state, job.priority, -1)
    flows.hold(tx, job.seq)
    tx.count(queue, State.WAITING_CHILDREN, 1)


def _let_go(tx: Tx, seq: int, prev: str | None = None) -> None:
    """Queue a job if nothing is left that it waits for."""
    waiter = flows.waiter(tx, seq)
    if waiter is None or waiter.state != State.WAITING_CHILDREN or flows.pending(tx, seq):
        return
    queue = tx.queues.by_id.get(waiter.queue)
    if queue is None:
        return
    state = State.DELAYED if waiter.run_at_ms > tx.now_ms else State.WAITING
    ord = -seq if waiter.flags & Flag.LIFO else max(tx.ord_ms, waiter.run_at_ms)
    flows.let_go(tx, seq, state, ord)
    tx.count(queue, State.WAITING_CHILDREN, -1)
    queued(tx, queue, state, waiter.priority, waiter.run_at_ms)
    if prev is not None:
        tx.emit("waiting", queue.name, rows.id_of(tx, seq, waiter.flags), prev=prev)


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


def _set_options(tx: Tx, job: Job, options: Options) -> None:
    flows.set_options(tx, job.seq, options_blob(options))
    job.options_blob = options_blob(options)


def _text(error: str | None) -> bytes:
    return msgspec.msgpack.encode(error or "failed")
