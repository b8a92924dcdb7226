"""A job as a request brings it: the options of the table (model.options) under their names in JSON, and user data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import UNSET, Raw

from hubqueue.commands.enqueue import PlainPush, PlainPushB
from hubqueue.errors import Invalid
from hubqueue.model.flowdata import RESERVED, with_children, with_parent
from hubqueue.model.job import DEFAULT_ATTEMPTS
from hubqueue.model.option import Door, Parent
from hubqueue.model.payload import encode
from hubqueue.servers.http.rest.fields import Name
from hubqueue.servers.http.rest.route import Fields
from hubqueue.wire.jobin import PlainJob
from hubqueue.wire.joboptions import pushed
from hubqueue.wire.optiontypes import table_fields

PLAIN: Final = ("priority", "delay", "attempts")  # the options of wire.jobin.PlainJob

if TYPE_CHECKING:  # who checks types sees that these are structs; their fields come from the table
    from msgspec import Struct as _FlowOptions
    from msgspec import Struct as _ScheduleOptions

    class _JobOptions(msgspec.Struct):
        parent: Any

    class _PlainOptions(msgspec.Struct):
        priority: int | None
        delay: int | None
        attempts: int | None

else:

    def _struct(fields):
        return msgspec.defstruct("Options", fields, rename="camel", kw_only=True, module=__name__)

    _JobOptions, _FlowOptions, _ScheduleOptions = map(_struct, map(table_fields, (Door.REST, Door.FLOW, Door.SCHEDULE)))
    _PlainOptions = _struct([field for field in table_fields(Door.REST) if field[0] in PLAIN])


class NewJob(_JobOptions, rename="camel", forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A job to enqueue. Times in milliseconds."""

    name: Name
    data: Any = UNSET


class PlainNewJob(_PlainOptions, rename="camel", forbid_unknown_fields=True, kw_only=True, gc=False):
    """The usual job: all that it says fits into commands.enqueue.PlainPush and `wire.jobin.PlainJob`."""

    name: Name
    data: Any


class FlowOptions(_FlowOptions, rename="camel", forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What a job of a flow may say of itself. Times in milliseconds."""

    name: Name
    data: Any = UNSET


class ScheduleOptions(_ScheduleOptions, rename="camel", forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Options of each job of a schedule. Times in milliseconds."""


def push_fields(job: NewJob) -> Fields:
    """The job as an entry of PUSHB. Errors: Invalid."""
    fields: Fields = {"name": job.name, **pushed(job, Door.REST)}
    if job.parent is not None and job.parent.queue is not None:
        fields["data"] = tied(job.data, job.parent)
    elif job.data is not UNSET:
        fields["data"] = job.data
    return fields


def push_many(jobs: Iterable[NewJob], where: str = "jobs") -> list[Fields]:
    """The jobs as entries of PUSHB. where: what the list is called. Errors: Invalid naming the first bad entry."""
    entries = []
    for index, job in enumerate(jobs):
        with inside(f"{where}[{index}]"):
            entries.append(push_fields(job))
    return entries


@contextmanager
def inside(where: str) -> Iterator[None]:
    """What is wrong in here is said with its place."""
    try:
        yield
    except Invalid as error:
        raise type(error)(f"{where}: {error.message}", hint=error.hint) from None


def tied(data: Any, parent: Parent | None = None, children: Sequence[str] = ()) -> Raw:
    """The data of a job of a flow, packed, with its ties in it. Errors: Invalid for data that cannot hold them."""
    fields = {} if data is UNSET else data
    if not isinstance(fields, dict):
        raise Invalid("data must be an object", hint="the flow is written into it")
    taken = [name for name in fields if name.startswith(RESERVED)]
    if taken:
        raise Invalid(f"data may not have {taken[0][:100]!r}", hint="names that begin with __ tie the jobs of a flow")
    found: bytes | None = encode(fields)
    if parent is not None:
        found = with_parent(found, parent.id, parent.queue)
    if children:
        found = with_children(found, children)
    return Raw(found or b"")


def plain_push(queue: str, job: PlainNewJob) -> tuple[PlainPush, int]:
    """The job as its command, with the bytes of its data."""
    data = encode(job.data)
    return PlainPush(
        queue=queue,
        name=job.name,
        data=Raw(data),
        priority=job.priority or 0,
        delay_ms=job.delay or 0,
        max_attempts=DEFAULT_ATTEMPTS if job.attempts is None else job.attempts,
    ), len(data)


def plain_push_batch(queue: str, jobs: list[PlainNewJob]) -> tuple[PlainPushB, int]:
    """The jobs as their command, with the bytes of their data."""
    size, entries = 0, []
    for job in jobs:
        data = encode(job.data)
        size += len(data)
        attempts = DEFAULT_ATTEMPTS if job.attempts is None else job.attempts
        entries.append(PlainJob(job.name, Raw(data), job.priority or 0, job.delay or 0, attempts))
    return PlainPushB(queue=queue, jobs=entries), size
