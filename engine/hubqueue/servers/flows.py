"""Handlers of flows: trees of jobs that come in whole, and the ties between jobs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from msgspec import Raw

from hubqueue.errors import Invalid, PayloadTooLarge
from hubqueue.hub.verbs import flowedits
from hubqueue.hub.verbs.enqueue import enqueue_flow
from hubqueue.model.flow import check_flow
from hubqueue.model.flowdata import check_metadata
from hubqueue.model.job import Job
from hubqueue.model.limits import MAX_FRAME_BYTES
from hubqueue.servers.door import Call, Handlers
from hubqueue.wire.commands import flows as wire
from hubqueue.wire.flowin import flow_of
from hubqueue.wire.flowtexts import flow_text
from hubqueue.wire.jobmap import job_map

MAP_BYTES: Final = 1000  # what a job in a reply has beside its data and options


def push_flow(call: Call, command: wire.PushF) -> None:
    if call.size + len(command.jobs) * MAP_BYTES > MAX_FRAME_BYTES:  # the reply has every job again
        raise PayloadTooLarge("flow data is too large (max 64MB per atomic batch)")
    flow = flow_of(command.jobs)
    try:
        check_flow(flow)
        check_metadata(flow)
    except PayloadTooLarge:
        raise
    except Invalid as error:
        raise Invalid(flow_text(error.message), hint=error.hint) from None
    call.run(lambda tx: enqueue_flow(tx, flow), _jobs)


def _jobs(made: list[Job]) -> dict[str, Any]:
    return {"data": {"jobs": [job_map(job) for job in made]}}


def move_to_waiting_children(call: Call, command: wire.MoveToWaitingChildren) -> None:
    def shape(_: None) -> dict[str, Any]:
        call.session.door.hub.settled([command.id])
        return {"data": {"moved": True}}

    call.run(lambda tx: flowedits.move_to_waiting_children(tx, command.id, command.token), shape)


def get_children_values(call: Call, command: wire.GetChildrenValues) -> None:
    _values(call, lambda tx: flowedits.children_values(tx, command.id), lambda values: {"data": values})


def get_failed_children_values(call: Call, command: wire.GetFailedChildrenValues) -> None:
    _values(call, lambda tx: flowedits.failed_children(tx, command.id), lambda values: values)


def get_ignored_children_failures(call: Call, command: wire.GetIgnoredChildrenFailures) -> None:
    _values(call, lambda tx: flowedits.ignored_failures(tx, command.id), lambda values: values)


def _values(
    call: Call, verb: Callable[[Any], dict[str, bytes]], wrap: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    call.run(verb, lambda found: wrap({"values": {label: Raw(value) for label, value in found.items()}}))


def update_parent(call: Call, command: wire.UpdateParent) -> None:
    call.run(lambda tx: flowedits.update_parent(tx, command.child_id, command.parent_id))


def remove_child_dependency(call: Call, command: wire.RemoveChildDependency) -> None:
    call.run(lambda tx: flowedits.remove_child_dependency(tx, command.id), lambda removed: {"removed": removed})


def remove_unprocessed_children(call: Call, command: wire.RemoveUnprocessedChildren) -> None:
    call.run(lambda tx: flowedits.remove_unprocessed_children(tx, command.id))


HANDLERS: Final[Handlers] = {
    wire.PushF: push_flow,
    wire.MoveToWaitingChildren: move_to_waiting_children,
    wire.GetChildrenValues: get_children_values,
    wire.GetFailedChildrenValues: get_failed_children_values,
    wire.GetIgnoredChildrenFailures: get_ignored_children_failures,
    wire.UpdateParent: update_parent,
    wire.RemoveChildDependency: remove_child_dependency,
    wire.RemoveUnprocessedChildren: remove_unprocessed_children,
}
