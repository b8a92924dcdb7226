"""The flow of a PUSHF as the engine's own values, with what a flow does not allow refused in PUSHF's words."""

from __future__ import annotations

from collections.abc import Sequence

from hubqueue.errors import Invalid
from hubqueue.model.flow import FlowJob
from hubqueue.wire.commands.flows import FlowEntry, FlowInput
from hubqueue.wire.flowtexts import flow_text
from hubqueue.wire.jobin import POLICIES, to_new_job
from hubqueue.wire.loose import given


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
