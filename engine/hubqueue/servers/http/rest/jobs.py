"""Routes of jobs: enqueue, find, look at, change."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from hubqueue.errors import (
    DiskFull,
    Draining,
    Duplicate,
    Invalid,
    KeyReused,
    NotFound,
    PayloadTooLarge,
    QueueFull,
    WrongState,
)
from hubqueue.model.limits import MAX_BATCH
from hubqueue.servers.http.rest.fields import Limit, Name, QueueName, Text
from hubqueue.servers.http.rest.newjob import NewJob, PlainNewJob, plain_push, plain_push_batch, push_fields, push_many
from hubqueue.servers.http.rest.presence import if_job_there
from hubqueue.servers.http.rest.route import Answered, Asked, Fields, Route, sent
from hubqueue.wire.fields import MAX_WAIT_JOB_MS, AnyDelayMs, DelayMs, Priority, Tags, TimeMs
from hubqueue.wire.jobjson import Job

ENQUEUE_ERRORS: Final = (Duplicate, QueueFull, DiskFull, Draining, KeyReused, PayloadTooLarge)

Words = Annotated[str, Meta(min_length=1, max_length=256, description="Part of id, name, error or data")]
StateWord = Literal["waiting", "prioritized", "delayed", "active", "waiting-children", "paused", "completed", "failed"]


class JobId(msgspec.Struct):
    """The id of the job, or of the one that stands for it."""

    id: str


class JobIds(msgspec.Struct):
    """The ids of the jobs, in their order."""

    ids: list[str]


class NewJobs(msgspec.Struct, forbid_unknown_fields=True):
    """Jobs for one queue, all or none."""

    jobs: Annotated[list[NewJob], Meta(max_length=MAX_BATCH)]


class PlainNewJobs(msgspec.Struct, forbid_unknown_fields=True):
    """The usual jobs."""

    jobs: Annotated[list[PlainNewJob], Meta(max_length=MAX_BATCH)]


class Search(msgspec.Struct, rename="camel", kw_only=True):
    """Which jobs."""

    states: list[StateWord] | UnsetType = UNSET
    name: Name | UnsetType = UNSET
    text: Words | UnsetType = UNSET
    reason: Annotated[str, Meta(max_length=256, description="Why it failed")] | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET
    limit: Limit = 50
    cursor: Annotated[str, Meta(max_length=256, description="From the page before")] | UnsetType = UNSET
    ascending: bool = False


class SearchAll(Search, rename="camel", kw_only=True):
    """Which jobs of which queue; of all without one."""

    queue: QueueName | UnsetType = UNSET


class FoundJobs(msgspec.Struct):
    """A page of jobs. A cursor leads on, also from an empty page: each request looks at a bounded number of jobs."""

    jobs: list[Job]
    cursor: str | None
    scanned: int


class Change(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """What is to be changed."""

    data: Any = UNSET
    priority: Priority | UnsetType = UNSET
    lifo: bool | UnsetType = UNSET
    delay: AnyDelayMs | UnsetType = UNSET


class Snoozing(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Until when a job is to wait: a time, or so long from now."""

    until: TimeMs | UnsetType = UNSET
    delay: DelayMs | UnsetType = UNSET


class Deletion(msgspec.Struct, kw_only=True):
    """Whether an active job is to be cancelled too: its worker hears of it."""

    active: bool = False


class LogSlice(msgspec.Struct, kw_only=True):
    """Which lines, from 0; the end is included."""

    start: Annotated[int, Meta(ge=0, le=1_000_000)] | UnsetType = UNSET
    end: Annotated[int, Meta(ge=0, le=1_000_000)] | UnsetType = UNSET


class NewLog(msgspec.Struct, forbid_unknown_fields=True):
    """A line for a job's log."""

    message: Text
    level: Name = "info"


class Waiting(msgspec.Struct, kw_only=True):
    """How long to wait for the end, milliseconds."""

    timeout: Annotated[int, Meta(ge=0, le=MAX_WAIT_JOB_MS)] = 0


class Ending(msgspec.Struct, kw_only=True):
    """How a job ended; or the state it is in still. Only its id where nobody waits for it."""

    id: str
    state: str | UnsetType = UNSET
    result: Any = UNSET
    error: str | UnsetType = UNSET


async def ending(asked: Asked, id: str, timeout_ms: int) -> Fields:
    """The end of a job, waited for: completed with its result, failed with its error, or as far as it is."""
    waited = await asked.ask("WaitJob", id=id, timeout=timeout_ms)
    if waited["completed"]:
        return {"id": id, "state": "completed"} | ({"result": waited["result"]} if "result" in waited else {})
    job = (await asked.ask("GetJob", id=id))["job"]
    found = {"id": id, "state": job.state}
    return found if job.failed_reason is UNSET else found | {"error": job.failed_reason}


async def _result(asked: Asked) -> Any:
    found = await ending(asked, asked.path["id"], asked.query.timeout)
    return found if found["state"] in ("completed", "failed") else Answered(found, 202)


async def _change(asked: Asked) -> None:
    """One after the other, the likeliest to be refused first."""
    id, change = asked.path["id"], asked.body
    if not sent(change):
        raise Invalid("Nothing is to be changed", hint="name data, priority, lifo or delay")
    if change.delay is not UNSET:
        await asked.ask("ChangeDelay", id=id, delay=change.delay)
    place = {name: value for name, value in sent(change).items() if name in ("priority", "lifo")}
    if place:
        await asked.ask("ChangePriority", id=id, **place)
    if change.data is not UNSET:
        await asked.ask("Update", id=id, data=change.data)


async def _batch(asked: Asked) -> Any:
    if isinstance(asked.body, PlainNewJobs):
        return await asked.run_once(*plain_push_batch(asked.path["queue"], asked.body.jobs))
    return await asked.ask_once("PUSHB", queue=asked.path["queue"], jobs=push_many(asked.body.jobs))


async def _one(asked: Asked) -> Any:
    if isinstance(asked.body, PlainNewJob):
        return await asked.run_once(*plain_push(asked.path["queue"], asked.body))
    job = push_fields(asked.body)
    if "customId" in job:
        job["jobId"] = job.pop("customId")
    return await asked.ask_once("PUSH", queue=asked.path["queue"], **job)


ROUTES: Final = (
    Route(
        method="POST",
        path="/queues/{queue}/jobs",
        name="enqueue",
        summary="Enqueue a job",
        tag="jobs",
        command="PUSH",
        body=NewJob,
        plain=PlainNewJob,
        example={"name": "send", "data": {"to": "ada"}, "attempts": 5},
        reply=JobId,
        status=201,
        errors=ENQUEUE_ERRORS,
        enqueues=True,
        run=_one,
    ),
    Route(
        method="POST",
        path="/queues/{queue}/jobs/batch",
        name="enqueueMany",
        summary="Enqueue many jobs, all or none",
        tag="jobs",
        command="PUSHB",
        body=NewJobs,
        plain=PlainNewJobs,
        example={"jobs": [{"name": "send", "data": {"to": "ada"}}, {"name": "send", "data": {"to": "bob"}}]},
        reply=JobIds,
        status=201,
        errors=ENQUEUE_ERRORS,
        enqueues=True,
        run=_batch,
    ),
    Route(
        method="GET",
        path="/queues/{queue}/jobs",
        name="findJobsOfQueue",
        summary="Jobs of a queue, newest first",
        tag="jobs",
        command="FindJobs",
        query=Search,
        reply=FoundJobs,
    ),
    Route(
        method="GET",
        path="/jobs",
        name="findJobs",
        summary="Jobs of all queues, newest first",
        tag="jobs",
        command="FindJobs",
        query=SearchAll,
        reply=FoundJobs,
    ),
    Route(
        method="GET",
        path="/jobs/{id}",
        name="getJob",
        summary="A job with its state, result and history",
        tag="jobs",
        command="GetJob",
        reply=Job,
        pick=lambda reply: reply["job"],
        errors=(NotFound,),
    ),
    Route(
        method="PATCH",
        path="/jobs/{id}",
        name="changeJob",
        summary="Change the delay, the place in the line, the data of a job, in this order until one is refused",
        tag="jobs",
        command="Update",
        body=Change,
        example={"priority": 10},
        errors=(NotFound, WrongState, PayloadTooLarge),
        run=_change,
    ),
    Route(
        method="DELETE",
        path="/jobs/{id}",
        name="cancelJob",
        summary="Cancel a job",
        tag="jobs",
        command="Cancel",
        query=Deletion,
        errors=(NotFound, WrongState),
    ),
    Route(
        method="POST",
        path="/jobs/{id}/retry",
        name="retryJob",
        summary="Let a failed job run again",
        tag="jobs",
        command="MoveToWait",
        errors=(NotFound, WrongState),
    ),
    Route(
        method="POST",
        path="/jobs/{id}/promote",
        name="promoteJob",
        summary="Let a delayed job run now",
        tag="jobs",
        command="Promote",
        errors=(NotFound, WrongState),
    ),
    Route(
        method="POST",
        path="/jobs/{id}/snooze",
        name="snoozeJob",
        summary="Let a queued job wait until a time, or so long from now; no attempt is counted",
        tag="jobs",
        command="Snooze",
        body=Snoozing,
        example={"delay": 600000},
        errors=(NotFound, WrongState),
    ),
    Route(
        method="POST",
        path="/jobs/{id}/discard",
        name="discardJob",
        summary="Send a job to the dead letters at once",
        tag="jobs",
        command="Discard",
        errors=(NotFound, WrongState),
    ),
    Route(
        method="GET",
        path="/jobs/{id}/logs",
        name="getLogs",
        summary="The log of a job",
        tag="jobs",
        command="GetLogs",
        query=LogSlice,
        errors=(NotFound,),
        run=if_job_there,
    ),
    Route(
        method="POST",
        path="/jobs/{id}/logs",
        name="addLog",
        summary="Add a line to the log of a job",
        tag="jobs",
        command="AddLog",
        body=NewLog,
        example={"message": "lamp answered"},
        errors=(NotFound,),
    ),
    Route(
        method="DELETE",
        path="/jobs/{id}/logs",
        name="clearLogs",
        summary="Forget the log of a job",
        tag="jobs",
        command="ClearLogs",
        errors=(NotFound,),
        run=if_job_there,
    ),
    Route(
        method="GET",
        path="/jobs/{id}/progress",
        name="getProgress",
        summary="How far an active job is",
        tag="jobs",
        command="GetProgress",
        errors=(NotFound, WrongState),
    ),
    Route(
        method="GET",
        path="/jobs/{id}/result",
        name="awaitResult",
        summary="How a job ended, waited for",
        tag="jobs",
        command="WaitJob",
        query=Waiting,
        reply=Ending,
        also={202: "It has not ended yet"},
        errors=(NotFound,),
        run=_result,
    ),
)
