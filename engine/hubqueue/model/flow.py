"""Flows: jobs that wait for others. A whole tree comes in at once and is checked before anything is stored.

Rules: every edge stays inside the batch, ids are unique, nobody waits for itself, and there is no cycle.
Texts are those of the protocol (docs/protocol.md, PUSHF).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import Final

import msgspec

from hubqueue.errors import Invalid, PayloadTooLarge
from hubqueue.model.job import NewJob
from hubqueue.model.limits import MAX_CUSTOM_ID_CHARS, check_new_job, check_queue

MAX_FLOW_JOBS: Final = 10_000
MAX_FLOW_BYTES: Final = 64 * 1024 * 1024


class Ended(IntEnum):
    """What is known of one dependency. Stored: never change a number."""

    PENDING = 0
    DONE = 1
    FAILED = 2  # the dependent went on all the same; `value` is the error
    IGNORED = 3  # as FAILED, for children whose failure is to be ignored


class FlowJob(msgspec.Struct, frozen=True, gc=False):
    """One job of a flow. `job.options` says what it depends on, and which are its children and its parent."""

    id: str
    queue: str
    job: NewJob


def check_flow(flow: Sequence[FlowJob]) -> list[FlowJob]:
    """The flow in an order in which every job comes after those it waits for.

    Errors: Invalid, PayloadTooLarge.
    """
    if len(flow) > MAX_FLOW_JOBS:
        raise Invalid(f"flow exceeds the {MAX_FLOW_JOBS} job limit")
    by_id: dict[str, FlowJob] = {}
    total = 0
    for each in flow:
        _check_id(each.id)
        if each.id in by_id:
            raise Invalid(f"duplicate flow job id: {each.id}")
        if each.job.custom_id is not None and each.job.custom_id != each.id:
            raise Invalid(f"custom id does not match planned id: {each.id}")
        try:
            check_queue(each.queue)
        except Invalid:
            raise Invalid(f"invalid flow queue: {each.queue[:100]}") from None
        check_new_job(each.job)
        options = each.job.options
        if options is not None and options.dedup is not None:
            raise Invalid("deduplication is not supported inside an atomic flow")
        total += len(each.job.data or b"")
        by_id[each.id] = each
    if total > MAX_FLOW_BYTES:
        raise PayloadTooLarge("flow data is too large (max 64MB per atomic batch)")
    children = {each.id: frozenset(each.job.options.children_ids) for each in flow if each.job.options is not None}
    for each in flow:
        _check_edges(each, by_id, children)
    order = in_order({each.id: each.job.options.depends_on if each.job.options else () for each in flow})
    return [by_id[id] for id in order]


def in_order(waits_for: Mapping[str, Sequence[str]]) -> list[str]:
    """The ids in an order in which each comes after those it waits for; others that are waited for do not matter.

    Errors: Invalid for a circle.
    """
    left = {id: sum(other in waits_for for other in others) for id, others in waits_for.items()}
    dependents: dict[str, list[str]] = {}
    for id, others in waits_for.items():
        for other in others:
            dependents.setdefault(other, []).append(id)
    order = [id for id, pending in left.items() if not pending]
    for id in order:  # grows while it is read
        for dependent in dependents.get(id, ()):
            left[dependent] -= 1
            if not left[dependent]:
                order.append(dependent)
    if len(order) != len(waits_for):
        raise Invalid("flow contains a dependency cycle")
    return order


def _check_id(id: str) -> None:
    if not 0 < len(id) <= MAX_CUSTOM_ID_CHARS or any("\ud800" <= char <= "\udfff" for char in id):
        raise Invalid("flow job id is invalid or is not well-formed Unicode")
    if ":" in id:
        raise Invalid("flow job id cannot contain a colon")


def _check_edges(each: FlowJob, by_id: Mapping[str, FlowJob], children: Mapping[str, frozenset[str]]) -> None:
    options = each.job.options
    if options is None:
        return
    if len(set(options.depends_on)) != len(options.depends_on):
        raise Invalid(f"duplicate dependency in flow job: {each.id}")
    if len(set(options.children_ids)) != len(options.children_ids):
        raise Invalid(f"duplicate child in flow job: {each.id}")
    for id in options.depends_on:
        if id == each.id:
            raise Invalid(f"flow job cannot depend on itself: {id}")
        if id not in by_id:
            raise Invalid(f"flow dependency not found: {id}")
    waits_for = set(options.depends_on)
    for id in options.children_ids:
        child = by_id.get(id)
        if child is None:
            raise Invalid(f"flow child not found: {id}")
        if id not in waits_for:
            raise Invalid(f"flow child is missing from dependencies: {id}")
        if child.job.options is None or child.job.options.parent_id != each.id:
            raise Invalid(f"flow child {id} does not point back to parent {each.id}")
    if options.on_failure is not None and options.parent_id is None:
        raise Invalid("a flow failure policy requires a parent")
    if options.parent_id is not None:
        parent = by_id.get(options.parent_id)
        if parent is None:
            raise Invalid(f"flow parent not found: {options.parent_id}")
        if each.id not in children.get(parent.id, ()):
            raise Invalid(f"flow parent {options.parent_id} does not own child {each.id}")
