"""A job as a request brings it: the options of the table (model.options) as PUSH calls them, and user data as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
from msgspec import UNSET

from hubqueue.errors import Invalid
from hubqueue.model.flowdata import PARENT_ID, PARENT_QUEUE, RESERVED
from hubqueue.model.option import Door, Option
from hubqueue.model.options import BY_NAME, OPTIONS, check_needs
from hubqueue.servers.http.rest.fields import Name
from hubqueue.servers.http.rest.route import Fields, sent
from hubqueue.wire.optiontypes import protocol_fields, snake

NAMED: Final = ("priority", "unique_key", "dedup")  # options that a schedule has beside those of its jobs

if TYPE_CHECKING:  # who checks types sees that these are structs; their fields come from the table
    from msgspec import Struct as _FlowOptions
    from msgspec import Struct as _JobOptions
    from msgspec import Struct as _NamedOptions
    from msgspec import Struct as _ScheduleOptions
else:

    def _struct(fields):
        return msgspec.defstruct("Options", fields, rename="camel", kw_only=True, module=__name__)

    _JobOptions, _FlowOptions = (_struct(protocol_fields(door)) for door in (Door.REST, Door.FLOW))
    _ScheduleOptions = _struct([field for field in protocol_fields(Door.SCHEDULE) if field[0] not in NAMED])
    _NamedOptions = _struct([field for field in protocol_fields(Door.SCHEDULE) if field[0] in NAMED])


class NewJob(_JobOptions, rename="camel", forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A job to enqueue. Times in milliseconds."""

    name: Name
    data: Any = UNSET


class FlowOptions(_FlowOptions, rename="camel", forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What a job of a flow may say of itself. Times in milliseconds."""

    name: Name
    data: Any = UNSET


class NamedOptions(_NamedOptions, rename="camel", forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Options of each job of a schedule that are those of the schedule, too."""


class ScheduleOptions(_ScheduleOptions, rename="camel", forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Options of each job of a schedule. Times in milliseconds."""


_POLICIES: Final = tuple(BY_NAME["on_failure"].choices.values())
_LINKED: Final = (
    "parent",
    "dedup",
    "group_max_size",
    *map(snake, _POLICIES),
)  # nothing by themselves, or more than PUSH


def entry(job: NewJob) -> NewJob | Fields:
    """The job as an entry of PUSHB. Errors: Invalid."""
    return job if all(getattr(job, name) is UNSET for name in _LINKED) else push_fields(job)


def push_fields(job: NewJob) -> Fields:
    """The fields of the job as PUSHB takes them. Errors: Invalid."""
    fields = sent(job)
    check_said(fields)
    parent = fields.pop("parent", None)
    if parent is None:
        return fields
    return fields | {"parentId": parent.id, "data": with_parent(fields, parent.id, parent.queue)}


def check_said(fields: Fields) -> None:
    """Options of the protocol, each with what it would be nothing without. Errors: Invalid."""
    policies = [name for name in _POLICIES if fields.get(name)]
    if len(policies) > 1:
        raise Invalid(f"{policies[0]} and {policies[1]} exclude each other")
    if "dedup" in fields and "uniqueKey" not in fields:
        raise Invalid("dedup needs uniqueKey too")
    names = {option.name for option in OPTIONS if option.wire in fields or option.name in fields}
    if policies:
        names.add("on_failure")
    check_needs(names, lambda option: policies[0] if option.name == "on_failure" else _shown(option))


def _shown(option: Option) -> str:
    return option.json if option.name == "parent" else option.wire


def with_parent(fields: Fields, parent_id: str | None, parent_queue: str = "") -> Fields:
    """The data of a job of a flow, with its parent in it if it has one. Errors: Invalid for data that cannot say it."""
    data = fields.get("data", {})
    if not isinstance(data, dict):
        raise Invalid("data must be an object", hint="the flow is written into it")
    taken = [name for name in data if name.startswith(RESERVED)]
    if taken:
        raise Invalid(f"data may not have {taken[0][:100]!r}", hint="names that begin with __ tie the jobs of a flow")
    return data if parent_id is None else {**data, PARENT_ID: parent_id, PARENT_QUEUE: parent_queue}
