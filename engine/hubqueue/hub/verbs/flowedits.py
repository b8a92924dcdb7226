"""What clients do to flows afterwards: tie a child to its parent, wait for children, cut them off, read them."""

from __future__ import annotations

from typing import Final

import msgspec

from hubqueue.errors import Invalid, NotFound, PayloadTooLarge, WrongState
from hubqueue.hub.verbs import flow, rows
from hubqueue.hub.verbs.bury import tell_parents
from hubqueue.hub.verbs.tokens import check_token
from hubqueue.model.flow import Ended
from hubqueue.model.flowdata import with_parent
from hubqueue.model.job import PENDING_PARENT, Flag, Job
from hubqueue.model.state import UNSTARTED, Move, State
from hubqueue.store import changes, flows, jobs
from hubqueue.store.queues import QueueRow
from hubqueue.store.tx import Tx

MAX_VALUES_BYTES: Final = 32 * 1024 * 1024  # read at once: they are held in memory, and must fit into a frame


def update_parent(tx: Tx, child_id: str, parent_id: str) -> None:
    """Make a job the child of another: of one that names it already, or of one that has not started.

    A child that has failed already tells its parent so now. Errors: Invalid, NotFound, WrongState.
    """
    if child_id == parent_id:
        raise Invalid("A flow job cannot be its own parent")
    child_seq = rows.seq_of(tx, child_id)
    found = None if child_seq is None else jobs.get(tx, child_seq)
    if found is None and _has_ended(tx, child_id, parent_id):
        return
    if found is None:
        raise NotFound(f"Child job not found: {child_id}")
    child, _ = found
    parent, queue = rows.find(tx, parent_id, f"Parent job not found: {parent_id}")
    owner = child.options.parent_id
    if owner not in (None, PENDING_PARENT, parent_id):
        raise Invalid(f"Child job {child_id} already belongs to parent {owner}")
    declared = child_id in parent.options.children_ids
    if not declared:
        flow.check_adoption(tx, parent, child)
    _name_parent(tx, child, parent, queue)
    if not declared:
        flow.adopt(tx, parent, queue, child_id)
    if child.state is State.FAILED and child.options.on_failure is not None:
        tell_parents(tx, child, child.history.error)


def _name_parent(tx: Tx, child: Job, parent: Job, queue: QueueRow) -> None:
    flow.set_options(tx, child, msgspec.structs.replace(child.options, parent_id=parent.id))
    changes.set_data(tx, child.seq, with_parent(child.data, parent.id, queue.name))
    if child.flags & Flag.ORPHAN:
        changes.clear_flag(tx, child.seq, Flag.ORPHAN)


def _has_ended(tx: Tx, child_id: str, parent_id: str) -> bool:
    """Whether a child that is no longer there completed before, as its parent remembers."""
    seq = rows.seq_of(tx, parent_id)
    edges = [] if seq is None else flows.of(tx, seq)
    return any(edge.child and edge.outcome != Ended.PENDING and _id(edge) == child_id for edge in edges)


def _id(edge: flows.Edge) -> str:
    """The id in a label, for ids without a colon: queue names may have some."""
    return edge.label.rpartition(":")[2]


def move_to_waiting_children(tx: Tx, id: str, token: str | None) -> None:
    """An active parent waits for its children, also for those it went on without; with none left, for a worker.

    Errors: WrongState, LockLost, LockRequired.
    """
    seq = rows.seq_of(tx, id)
    found = None if seq is None else jobs.get(tx, seq)
    if found is None or found[0].state is not State.ACTIVE:
        raise WrongState("Job is not active")
    job, queue = found
    check_token(tx, job, token)
    tx.emit("waiting-children", queue.name, id, prev="active")
    tx.count(queue, State.ACTIVE, -1)
    state = Move.WAIT.to(job.state, State.WAITING_CHILDREN)
    changes.move(tx, job.seq, state, tx.ord_ms, tx.now_ms, job.flags, fence=True)
    tx.count(queue, state, 1)
    if job.expires_at_ms is not None:
        tx.due(job.expires_at_ms)
    flows.wait_again(tx, job.seq)
    flow.let_go(tx, job.seq)
    tx.settled.append(id)


def remove_child_dependency(tx: Tx, child_id: str) -> bool:
    """A parent no longer waits for this child; whether it did. Errors: NotFound, Invalid."""
    child, _ = rows.find(tx, child_id, f"Job not found: {child_id}")
    if child.options.parent_id in (None, PENDING_PARENT):
        raise Invalid(f"Job {child_id} has no parent")
    cut = False
    for edge in flows.on(tx, child.seq):
        if edge.child and edge.outcome == Ended.PENDING:
            flows.cut(tx, edge)
            flow.let_go(tx, edge.dependent, prev="waiting-children")
            cut = True
    return cut


def remove_unprocessed_children(tx: Tx, parent_id: str) -> None:
    """Cancel the children that have not started; the parent no longer waits for them."""
    seq = rows.seq_of(tx, parent_id)
    if seq is None:
        return
    for edge in flows.of(tx, seq):
        found = jobs.get(tx, edge.dependency) if edge.child and edge.outcome in (Ended.PENDING, Ended.DONE) else None
        if found is not None and found[0].state in UNSTARTED:
            child, queue = found
            flows.cut(tx, edge)
            tx.emit("removed", queue.name, child.id, prev="waiting")
            rows.remove(tx, queue, Move.CANCEL, child.state, [(child.seq, child.flags, child.priority)])
    flow.let_go(tx, seq)


def children_values(tx: Tx, id: str) -> dict[str, bytes]:
    """Results of the completed children of a job, by `<queue>:<id>`. Errors: PayloadTooLarge."""
    return _values(tx, id, Ended.DONE)


def failed_children(tx: Tx, id: str) -> dict[str, bytes]:
    """Errors (MessagePack text) of children whose failure let the parent go on."""
    return _values(tx, id, Ended.FAILED)


def ignored_failures(tx: Tx, id: str) -> dict[str, bytes]:
    """Errors (MessagePack text) of children whose failure was ignored."""
    return _values(tx, id, Ended.IGNORED)


def _values(tx: Tx, id: str, outcome: Ended) -> dict[str, bytes]:
    seq = rows.seq_of(tx, id)
    if seq is None:
        return {}
    if flows.value_bytes(tx, seq, outcome) > MAX_VALUES_BYTES:
        raise PayloadTooLarge("The values of the children are too large", hint="read the children one by one")
    return flows.values(tx, seq, outcome)
