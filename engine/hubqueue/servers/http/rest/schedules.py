"""Routes of recurring jobs."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from hubqueue.errors import DiskFull, Draining, Forbidden, Invalid, KeyReused, NotFound, QueueFull, WrongState
from hubqueue.model.limits import MAX_COUNT
from hubqueue.model.option import Door
from hubqueue.model.schedule import MAX_PATTERN_CHARS, MAX_ZONE_CHARS
from hubqueue.servers.http.rest.fields import Name, QueueName
from hubqueue.servers.http.rest.jobs import JobId
from hubqueue.servers.http.rest.newjob import ScheduleOptions
from hubqueue.servers.http.rest.presence import if_schedule_there
from hubqueue.servers.http.rest.route import Asked, Fields, Route, sent
from hubqueue.wire.fields import Count, RepeatMs, TimeMs
from hubqueue.wire.jobjson import options_json
from hubqueue.wire.joboptions import pushed
from hubqueue.wire.jsondata import plain

Pattern = Annotated[
    str, Meta(min_length=1, max_length=MAX_PATTERN_CHARS, description="A cron pattern, with seconds if it has six")
]

SHOWN: Final = ("nextRun", "executions", "zone")  # of what is read, nothing that can be put
BESIDE: Final = ("priority", "uniqueKey", "dedup")  # of the options of its jobs: what Cron has beside jobOptions
READ_ONLY: Final = {"readOnly": True}
NextRun = Annotated[TimeMs | None, Meta(description="When it fires next, Unix ms", extra_json_schema=READ_ONLY)]


class ScheduleFields(msgspec.Struct, rename="camel", forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What a schedule is when it is read, and when it is put."""

    queue: QueueName
    job_name: Name
    data: Any = UNSET
    schedule: Pattern | None = None
    repeat_every: RepeatMs | None = None
    timezone: Annotated[str, Meta(max_length=MAX_ZONE_CHARS)] | None = None
    max_limit: Annotated[int, Meta(ge=1, le=MAX_COUNT)] | None = None
    prevent_overlap: bool = True
    skip_missed_on_restart: bool = True
    skip_if_no_worker: bool = False
    job_options: ScheduleOptions | UnsetType | None = UNSET
    next_run: NextRun = None
    executions: Annotated[Count, Meta(description="How often it has fired", extra_json_schema=READ_ONLY)] = 0
    zone: Annotated[str | None, Meta(description="What the pattern is read in", extra_json_schema=READ_ONLY)] = None


class NewSchedule(ScheduleFields, rename="camel", forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A recurring job: either a cron pattern (`schedule`) or every so many milliseconds (`repeatEvery`).

    What was read can be put back as it is.
    """

    name: Name | UnsetType = UNSET
    immediately: bool = False


class Schedule(ScheduleFields, rename="camel", kw_only=True):
    """A schedule, and when it fires next (Unix milliseconds). data and jobOptions stand where it is read alone."""

    name: str


class Schedules(msgspec.Struct):
    """All schedules that the token may see."""

    schedules: list[Schedule]


async def _stored(asked: Asked, name: str, data: Any) -> Any:
    """The data as the schedule has it, if this is how it was read: JSON cannot say bytes, NaN and the like."""
    try:
        old = (await asked.ask("CronGet", name=name))["cron"].get("data", UNSET)
    except (NotFound, Forbidden):
        return data
    return old if old is not UNSET and _text(plain(old)) == _text(data) else data


def _text(value: Any) -> bytes:
    return msgspec.json.encode(value, order="deterministic")


async def _put(asked: Asked) -> Any:
    name, body = asked.path["name"], asked.body
    if body.name not in (UNSET, name):
        raise Invalid(f"name is {body.name[:100]!r}, and the path says {name[:100]!r}", hint="leave it out")
    if (body.schedule is None) == (body.repeat_every is None):
        raise Invalid("a schedule has either a pattern (schedule) or an interval (repeatEvery)")
    said = {name: value for name, value in sent(body).items() if name not in SHOWN}
    fields = {name: value for name, value in said.items() if value is not None or name == "data"}
    options = pushed(body.job_options, Door.SCHEDULE) if body.job_options else {}
    beside = {name: options.pop(name) for name in BESIDE if name in options}
    if body.data is not UNSET:
        fields["data"] = await _stored(asked, name, body.data)
    if body.prevent_overlap:  # as it is; to say so would withdraw the job of the last run
        del fields["preventOverlap"]
    reply = await asked.ask("Cron", **fields | beside | {"name": name, "jobOptions": options})
    return _shown(reply["cron"])


def _shown(cron: Fields) -> Fields:
    """A schedule under the names of JSON."""
    fields = {name: value for name, value in cron.items() if name not in (*BESIDE, "maxAttempts", "jobOptions")}
    if "jobOptions" not in cron:
        return fields
    beside = {name: cron[name] for name in BESIDE if name in cron}
    return fields | {"jobOptions": options_json(cron["jobOptions"] | beside)}


ROUTES: Final = (
    Route(
        method="GET",
        path="/schedules",
        name="listSchedules",
        summary="All schedules",
        tag="schedules",
        command="CronList",
        reply=Schedules,
        pick=lambda reply: {"schedules": [_shown(cron) for cron in reply["crons"]]},
    ),
    Route(
        method="GET",
        path="/schedules/{name}",
        name="getSchedule",
        summary="One schedule",
        tag="schedules",
        command="CronGet",
        reply=Schedule,
        pick=lambda reply: _shown(reply["cron"]),
        errors=(NotFound,),
    ),
    Route(
        method="PUT",
        path="/schedules/{name}",
        name="putSchedule",
        summary="Make a schedule, or let the one of this name be another",
        tag="schedules",
        command="Cron",
        body=NewSchedule,
        example={"queue": "reports", "jobName": "daily", "schedule": "0 6 * * *", "timezone": "Europe/Berlin"},
        reply=Schedule,
        run=_put,
    ),
    Route(
        method="DELETE",
        path="/schedules/{name}",
        name="deleteSchedule",
        summary="Take a schedule away",
        tag="schedules",
        command="CronDelete",
        errors=(NotFound,),
        run=if_schedule_there,
    ),
    Route(
        method="POST",
        path="/schedules/{name}/run",
        name="runSchedule",
        summary="Enqueue the job of a schedule now, besides",
        tag="schedules",
        command="CronRun",
        reply=JobId,
        status=201,
        errors=(NotFound, WrongState, QueueFull, DiskFull, Draining, KeyReused),
        enqueues=True,
    ),
)
