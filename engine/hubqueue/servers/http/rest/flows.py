"""Routes of flows: a tree of jobs in, a tree of jobs out. A parent waits for its children."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from hubqueue.errors import NotFound
from hubqueue.model.limits import MAX_CUSTOM_ID_CHARS
from hubqueue.model.option import Door, Parent
from hubqueue.servers.http.requestcontext import CONTEXT
from hubqueue.servers.http.rest.fields import QueueName
from hubqueue.servers.http.rest.jobs import ENQUEUE_ERRORS, JobIds
from hubqueue.servers.http.rest.newjob import FlowOptions, inside, tied
from hubqueue.servers.http.rest.route import Asked, Fields, Route
from hubqueue.system import System
from hubqueue.wire.jobjson import Job
from hubqueue.wire.joboptions import pushed

MAX_SHOWN: Final = 1000  # jobs of a tree that one answer shows
MAX_DEPTH: Final = 50
ID_BYTES: Final = 12  # of a job that is given none
PLANNED_ID: Final = r"^[^:]*$"


class FlowJob(FlowOptions, rename="camel", forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A job of a flow, with the jobs it waits for. A failure policy belongs to a child and speaks of its parent."""

    queue: QueueName
    data: dict[str, Any] | UnsetType | None = UNSET
    id: Annotated[str, Meta(min_length=1, max_length=MAX_CUSTOM_ID_CHARS, pattern=PLANNED_ID)] | None = None
    children: Annotated[list[FlowJob], Meta(max_length=1000)] | UnsetType | None = UNSET


class FlowShown(msgspec.Struct):
    """A job of a flow with its children. truncated: there are more than are shown."""

    job: Job
    children: list[FlowShown]
    truncated: bool


def planned(root: FlowJob, system: System) -> list[Fields]:
    """The jobs of a tree as PUSHF takes them, parents first, each with its ties. Errors: Invalid naming the place."""

    def id_of(job: FlowJob) -> str:
        return system.token_hex(ID_BYTES) if job.id is None else job.id

    entries: list[Fields] = []
    left: list[tuple[FlowJob, str, Parent | None, str]] = [(root, id_of(root), None, "")]
    while left:
        job, id, parent, place = left.pop()
        children = [
            (child, id_of(child), Parent(job.queue, id), f"{place}.children[{index}]".removeprefix("."))
            for index, child in enumerate(job.children or ())
        ]
        with inside(place) if place else nullcontext():
            entries.append({"id": id, "queue": job.queue, "input": _input(job, parent, [each[1] for each in children])})
        left += reversed(children)
    return entries


def _input(job: FlowJob, parent: Parent | None, children: list[str]) -> Fields:
    options = pushed(job, Door.FLOW, known=() if parent is None else ("parent",))
    options.pop("customId", None)
    fields: Fields = {"name": job.name, "data": tied(job.data or UNSET, parent, children), **options}
    if parent is not None:
        fields["parentId"] = parent.id
    if children:
        fields |= {"dependsOn": children, "childrenIds": children}
    return fields


async def _push(asked: Asked) -> Any:
    reply = await asked.ask_once("PUSHF", jobs=planned(asked.body, asked.request.app[CONTEXT].hub.system))
    if "ids" in reply:
        return reply
    return {"ids": [job.id for job in reply["data"]["jobs"]]}


async def _tree(asked: Asked) -> Any:
    left = MAX_SHOWN

    async def grown(id: str, depth: int) -> dict[str, Any] | None:
        nonlocal left
        left -= 1
        try:
            job = (await asked.ask("GetJob", id=id))["job"]
        except NotFound:
            if depth == 0:
                raise
            return None  # it has been removed since
        ids = job.children_ids if depth < MAX_DEPTH else ()
        children = []
        for child in ids:
            if left <= 0:
                break
            children.append(await grown(child, depth + 1))
        cut = left <= 0 and len(children) < len(job.children_ids)
        return {
            "job": job,
            "children": [child for child in children if child is not None],
            "truncated": cut or len(ids) < len(job.children_ids),
        }

    return await grown(asked.path["id"], 0)


ROUTES: Final = (
    Route(
        method="POST",
        path="/flows",
        name="enqueueFlow",
        summary="Enqueue a tree of jobs, whole or not at all; the ids, parents first",
        tag="flows",
        command="PUSHF",
        body=FlowJob,
        example={
            "queue": "reports",
            "name": "report",
            "children": [{"queue": "parts", "name": "part", "data": {"n": 1}}],
        },
        reply=JobIds,
        status=201,
        errors=ENQUEUE_ERRORS,
        enqueues=True,
        run=_push,
    ),
    Route(
        method="GET",
        path="/flows/{id}",
        name="getFlow",
        summary="A job with its children and theirs",
        tag="flows",
        command="GetJob",
        reply=FlowShown,
        errors=(NotFound,),
        run=_tree,
    ),
)
