"""Routes of recurring jobs."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from hubqueue.errors import DiskFull, Draining, KeyReused, NotFound, QueueFull, WrongState
from hubqueue.servers.http.rest.fields import Name, QueueName
from hubqueue.servers.http.rest.jobs import JobId
from hubqueue.servers.http.rest.newjob import BackoffOption
from hubqueue.servers.http.rest.route import Asked, Route, sent
from hubqueue.wire.fields import Attempts, BackoffMs, DelayMs, Priority, RepeatMs, TimeoutMs

Pattern = Annotated[str, Meta(min_length=1, max_length=256, description="A cron pattern, with seconds if it has six")]


class RunOptions(msgspec.Struct, rename="camel", forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Options of each job. Times in milliseconds."""

    max_attempts: Attempts | UnsetType = UNSET
    backoff: BackoffMs | BackoffOption | UnsetType = UNSET
    timeout: TimeoutMs | UnsetType = UNSET
    ttl: DelayMs | UnsetType = UNSET
    keep_trying: DelayMs | UnsetType = UNSET
    durable: bool | UnsetType = UNSET


class NewSchedule(msgspec.Struct, rename="camel", forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A recurring job: either a cron pattern (`schedule`) or every so many milliseconds (`repeatEvery`)."""

    queue: QueueName
    job_name: Name
    data: Any = UNSET
    schedule: Pattern | UnsetType = UNSET
    repeat_every: RepeatMs | UnsetType = UNSET
    timezone: Annotated[str, Meta(max_length=64)] | UnsetType = UNSET
    priority: Priority | UnsetType = UNSET
    max_limit: Annotated[int, Meta(ge=1, le=1_000_000_000)] | UnsetType = UNSET
    immediately: bool | UnsetType = UNSET
    prevent_overlap: bool | UnsetType = UNSET
    skip_missed_on_restart: bool | UnsetType = UNSET
    skip_if_no_worker: bool | UnsetType = UNSET
    job_options: RunOptions | UnsetType = UNSET


class Schedule(msgspec.Struct, rename="camel", kw_only=True):
    """A schedule, and when it fires next (Unix milliseconds)."""

    name: str
    job_name: str
    queue: str
    schedule: str | None
    repeat_every: int | None
    next_run: int | None
    executions: int
    max_limit: int | None
    timezone: str | None
    priority: int
    data: Any = UNSET


class Schedules(msgspec.Struct):
    """All schedules that the token may see."""

    schedules: list[Schedule]


async def _put(asked: Asked) -> Any:
    return (await asked.ask("Cron", name=asked.path["name"], **sent(asked.body)))["cron"]


ROUTES: Final = (
    Route(
        method="GET",
        path="/schedules",
        name="listSchedules",
        summary="All schedules",
        tag="schedules",
        command="CronList",
        reply=Schedules,
        pick=lambda reply: {"schedules": reply["crons"]},
    ),
    Route(
        method="GET",
        path="/schedules/{name}",
        name="getSchedule",
        summary="One schedule",
        tag="schedules",
        command="CronGet",
        reply=Schedule,
        pick=lambda reply: reply["cron"],
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
