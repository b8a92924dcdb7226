"""Commands of flows: trees of jobs that come in whole, and the ties between jobs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec
from msgspec import Raw

from hubqueue.commands.call import Call
from hubqueue.commands.command import ENQUEUE, READ_OR_WORK, WORK, Command, Touched, command, its_job
from hubqueue.commands.enqueue import named_in
from hubqueue.commands.flowtexts import flow_text
from hubqueue.errors import Invalid, PayloadTooLarge
from hubqueue.hub.verbs import flowedits
from hubqueue.hub.verbs.enqueue import enqueue_flow
from hubqueue.model.flow import FlowJob, check_flow
from hubqueue.model.flowdata import check_metadata
from hubqueue.model.job import Job
from hubqueue.model.limits import MAX_FRAME_BYTES
from hubqueue.wire.jobin import POLICIES, JobIn, to_new_job
from hubqueue.wire.jobmap import job_map
from hubqueue.wire.loose import given

MAP_BYTES: Final = 1000  # what a job in a reply has beside its data and options


def _flow(command: PushF) -> Touched:
    planned = {entry.id for entry in command.jobs}
    outside = [id for id in named_in(entry.input for entry in command.jobs) if id not in planned]
    return Touched({entry.queue for entry in command.jobs}, [*planned, *outside])


def _parent(command: UpdateParent) -> Touched:
    return Touched(jobs=(command.child_id, command.parent_id))


class FlowInput(JobIn, rename="camel", gc=False, kw_only=True):
    """A job of a flow as PUSHB has it. `debounce` is known here only to be refused."""

    debounce_id: Any = None
    debounce_ttl: Any = None


class FlowEntry(msgspec.Struct, gc=False, kw_only=True):
    """One job of a flow: its planned id, its queue, and the job."""

    id: str
    queue: str
    input: FlowInput


@command(ENQUEUE, _flow)
class PushF(Command, tag="PUSHF"):
    """Enqueue a whole flow or nothing: trees, chains, across queues; synced to the disk before the reply."""

    jobs: list[FlowEntry]

    def handle(self, call: Call) -> None:
        if call.size + len(self.jobs) * MAP_BYTES > MAX_FRAME_BYTES:  # the reply has every job again
            raise PayloadTooLarge("flow data is too large (max 64MB per atomic batch)")
        flow = flow_of(self.jobs)
        try:
            check_flow(flow)
            check_metadata(flow)
        except PayloadTooLarge:
            raise
        except Invalid as error:
            raise Invalid(flow_text(error.message), hint=error.hint) from None
        call.run(lambda tx: enqueue_flow(tx, flow), _jobs)


@command(WORK, its_job)
class MoveToWaitingChildren(Command):
    """An active parent waits for its children again."""

    id: str
    token: str | None = None

    def handle(self, call: Call) -> None:
        call.run(
            lambda tx: flowedits.move_to_waiting_children(tx, self.id, self.token), lambda _: {"data": {"moved": True}}
        )


@command(READ_OR_WORK, its_job)
class GetChildrenValues(Command):
    """The results of the completed children of a job."""

    id: str

    def handle(self, call: Call) -> None:
        _values(call, lambda tx: flowedits.children_values(tx, self.id), lambda values: {"data": values})


@command(READ_OR_WORK, its_job)
class GetFailedChildrenValues(Command):
    """The errors of children whose failure let their parent go on at once."""

    id: str

    def handle(self, call: Call) -> None:
        _values(call, lambda tx: flowedits.failed_children(tx, self.id), lambda values: values)


@command(READ_OR_WORK, its_job)
class GetIgnoredChildrenFailures(Command):
    """The errors of children whose failure was ignored."""

    id: str

    def handle(self, call: Call) -> None:
        _values(call, lambda tx: flowedits.ignored_failures(tx, self.id), lambda values: values)


@command(ENQUEUE, _parent)
class UpdateParent(Command):
    """Make a job the child of another one."""

    child_id: str
    parent_id: str

    def handle(self, call: Call) -> None:
        call.run(lambda tx: flowedits.update_parent(tx, self.child_id, self.parent_id))


@command(WORK, its_job)
class RemoveChildDependency(Command):
    """The parent of this job no longer waits for it."""

    id: str

    def handle(self, call: Call) -> None:
        call.run(lambda tx: flowedits.remove_child_dependency(tx, self.id), lambda removed: {"removed": removed})


@command(WORK, its_job)
class RemoveUnprocessedChildren(Command):
    """Cancel the children of a job that have not started."""

    id: str

    def handle(self, call: Call) -> None:
        call.run(lambda tx: flowedits.remove_unprocessed_children(tx, self.id))


def _jobs(made: list[Job]) -> dict[str, Any]:
    return {"data": {"jobs": [job_map(job) for job in made]}}


def _values(
    call: Call, verb: Callable[[Any], dict[str, bytes]], wrap: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    call.run(verb, lambda found: wrap({"values": {label: Raw(value) for label, value in found.items()}}))


def flow_of(entries: Sequence[FlowEntry]) -> list[FlowJob]:
    """The jobs of a flow, each still to be checked (model.flow). Errors: Invalid."""
    return [_job(entry) for entry in entries]


def _job(entry: FlowEntry) -> FlowJob:
    job = entry.input
    _check_allowed(job)
    try:
        return FlowJob(entry.id, entry.queue, to_new_job(job, job.custom_id))
    except Invalid as error:
        raise Invalid(flow_text(error.message), hint=error.hint) from None


def _check_allowed(job: FlowInput) -> None:
    if job.repeat is not None:
        raise Invalid("repeat is not supported inside an atomic flow")
    if job.unique_key:
        raise Invalid("deduplication is not supported inside an atomic flow")
    if given(job.debounce_id) is not None or given(job.debounce_ttl) is not None:
        raise Invalid("debounce is not supported inside an atomic flow")
    policies = sum(bool(getattr(job, field)) for field, _ in POLICIES)
    if policies > 1:
        raise Invalid("flow failure policies are mutually exclusive")
    if policies and job.parent_id is None:
        raise Invalid("a flow failure policy requires a parent")
