"""Routes of whole queues."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from hubqueue.errors import Invalid
from hubqueue.model.limits import MAX_COUNT, MAX_DELAY_MS
from hubqueue.servers.http.rest.fields import Many, QueueName
from hubqueue.servers.http.rest.route import Asked, Fields, Route, sent
from hubqueue.wire.fields import Count

Cleanable = Literal["waiting", "delayed", "prioritized", "paused", "completed", "failed"]
Bound = Annotated[int, Meta(ge=0, le=MAX_COUNT)]
Duration = Annotated[int, Meta(ge=1, le=MAX_DELAY_MS)]


class QueueLine(msgspec.Struct, rename="camel"):
    """A queue and how many jobs of it are in which state; `expired`: how many their `ttl` has removed so far."""

    name: str
    paused: bool
    waiting: int
    prioritized: int
    delayed: int
    active: int
    failed: int
    expired: int


class Queues(msgspec.Struct):
    """All queues that the token may see."""

    queues: list[QueueLine]


class Queue(msgspec.Struct, rename="camel", kw_only=True):
    """A queue: its jobs by state and by priority, and its oldest dead letters."""

    name: str
    paused: bool
    counts: dict[str, int]
    priority_counts: dict[str, int]


class Confirmation(msgspec.Struct, kw_only=True):
    """The name of the queue again, so that nothing is deleted by mistake."""

    confirm: QueueName


class Cleaning(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Which jobs: in this state, older than `grace` milliseconds, at most so many, oldest first."""

    state: Cleanable
    grace: Annotated[int, Meta(ge=0, le=MAX_DELAY_MS)]
    limit: Annotated[int, Meta(ge=1, le=100_000)] = 1000


class Promotion(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """How many delayed jobs, oldest first; all without a number."""

    count: Many | UnsetType = UNSET


class Rate(msgspec.Struct, omit_defaults=True, kw_only=True):
    """So many jobs per duration (ms); ttl: how much longer (ms), of one that ends by itself. It can be put as it is."""

    limit: int
    duration: int
    ttl: int | UnsetType = UNSET


class Limits(msgspec.Struct, rename="camel", kw_only=True):
    """What holds a queue back. rateLimitTtl: milliseconds until the rate lets another job go."""

    rate_limit: Rate | None
    rate_limit_ttl: float
    concurrency_limit: int | None
    maxed: bool


class NewRate(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Hand out at most `limit` jobs per `duration` (ms), 0: none; with `ttl` (ms) the limit ends by itself."""

    limit: Bound
    duration: Duration = 1000
    ttl: Duration | UnsetType = UNSET


class NewConcurrency(msgspec.Struct, forbid_unknown_fields=True):
    """Let at most so many jobs be active at a time; 0: none."""

    limit: Bound


class StallSettings(msgspec.Struct, rename="camel", forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """When a silent worker counts as stalled. Times in milliseconds."""

    enabled: bool | UnsetType = UNSET
    stall_interval: Annotated[int, Meta(ge=1000, le=86_400_000)] | UnsetType = UNSET
    max_stalls: Annotated[int, Meta(ge=1, le=1000)] | UnsetType = UNSET
    grace_period: Annotated[int, Meta(ge=0, le=86_400_000)] | UnsetType = UNSET


class DlqSettings(msgspec.Struct, rename="camel", forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Bounds of the dead letters, and whether they are tried again by themselves. Times in milliseconds."""

    auto_retry: bool | UnsetType = UNSET
    auto_retry_interval: Annotated[int, Meta(ge=1000, le=MAX_DELAY_MS)] | UnsetType = UNSET
    max_auto_retries: Annotated[int, Meta(ge=0, le=1000)] | UnsetType = UNSET
    max_age: Annotated[int, Meta(ge=1000, le=MAX_DELAY_MS)] | UnsetType | None = UNSET
    max_entries: Annotated[int, Meta(ge=1, le=10_000_000)] | UnsetType = UNSET


class ManyLimited(msgspec.Struct, rename="camel", kw_only=True):
    """For a rate that workers bring along: jobs per duration that it allows."""

    max_jobs: Count | UnsetType = UNSET


def _line(queue: Fields) -> Fields:
    return {"failed" if name == "dlq" else name: value for name, value in queue.items()}


def _limits(reply: Fields) -> Fields:
    """As they are put, too."""
    limits: Fields = reply["data"]["limits"]
    rate = limits["rateLimit"]
    if rate is None:
        return limits
    return limits | {"rateLimit": {"limit" if name == "max" else name: value for name, value in rate.items()}}


async def _obliterate(asked: Asked) -> None:
    queue = asked.path["queue"]
    if asked.query.confirm != queue:
        raise Invalid("confirm is not the name of the queue", hint=f"add ?confirm={queue} to delete it for good")
    await asked.ask("Obliterate", queue=queue)


def _settings(name: str, command: str, what: str, kind: Any, example: Any) -> tuple[Route, Route]:
    return (
        Route(
            method="GET",
            path=f"/queues/{{queue}}/settings/{name}",
            name=f"get{name.capitalize()}Settings",
            summary=f"Settings of a queue: {what}",
            tag="queues",
            command=f"Get{command}",
            reply=kind,
            pick=lambda reply: reply["config"],
        ),
        Route(
            method="PATCH",
            path=f"/queues/{{queue}}/settings/{name}",
            name=f"change{name.capitalize()}Settings",
            summary=f"Change settings of a queue: {what}",
            tag="queues",
            command=f"Set{command}",
            body=kind,
            example=example,
            run=lambda asked: _set(asked, f"Set{command}"),
        ),
    )


async def _set(asked: Asked, command: str) -> None:
    await asked.ask(command, queue=asked.path["queue"], config=sent(asked.body))


ROUTES: Final = (
    Route(
        method="GET",
        path="/queues",
        name="listQueues",
        summary="All queues",
        tag="queues",
        command="DashboardQueues",
        reply=Queues,
        pick=lambda reply: {"queues": [_line(queue) for queue in reply["data"]["queues"]]},
    ),
    Route(
        method="GET",
        path="/queues/{queue}",
        name="getQueue",
        summary="One queue",
        tag="queues",
        command="DashboardQueue",
        reply=Queue,
        pick=lambda reply: {name: reply["data"][name] for name in ("name", "paused", "counts", "priorityCounts")},
    ),
    Route(
        method="DELETE",
        path="/queues/{queue}",
        name="obliterateQueue",
        summary="Delete a queue with everything in it",
        tag="queues",
        command="Obliterate",
        query=Confirmation,
        run=_obliterate,
    ),
    Route(
        method="POST",
        path="/queues/{queue}/pause",
        name="pauseQueue",
        summary="Hand out no more jobs of a queue",
        tag="queues",
        command="Pause",
    ),
    Route(
        method="POST",
        path="/queues/{queue}/resume",
        name="resumeQueue",
        summary="Hand out jobs of a queue again",
        tag="queues",
        command="Resume",
    ),
    Route(
        method="POST",
        path="/queues/{queue}/drain",
        name="drainQueue",
        summary="Delete the queued jobs of a queue",
        tag="queues",
        command="Drain",
    ),
    Route(
        method="POST",
        path="/queues/{queue}/clean",
        name="cleanQueue",
        summary="Delete old jobs of a queue",
        tag="queues",
        command="Clean",
        body=Cleaning,
        example={"state": "completed", "grace": 3_600_000},
    ),
    Route(
        method="POST",
        path="/queues/{queue}/promote",
        name="promoteQueue",
        summary="Let delayed jobs of a queue run now",
        tag="queues",
        command="PromoteJobs",
        body=Promotion,
        body_optional=True,
        example={"count": 10},
    ),
    Route(
        method="GET",
        path="/queues/{queue}/limits",
        name="getLimits",
        summary="What holds a queue back",
        tag="queues",
        command="GetQueueLimits",
        query=ManyLimited,
        reply=Limits,
        pick=_limits,
    ),
    Route(
        method="PUT",
        path="/queues/{queue}/limits/rate",
        name="setRate",
        summary="Limit how many jobs of a queue start in a time",
        tag="queues",
        command="RateLimit",
        body=NewRate,
        example={"limit": 100, "duration": 60_000},
    ),
    Route(
        method="DELETE",
        path="/queues/{queue}/limits/rate",
        name="clearRate",
        summary="Take the rate limit away",
        tag="queues",
        command="RateLimitClear",
    ),
    Route(
        method="PUT",
        path="/queues/{queue}/limits/concurrency",
        name="setConcurrency",
        summary="Limit how many jobs of a queue are active at a time",
        tag="queues",
        command="SetConcurrency",
        body=NewConcurrency,
        example={"limit": 4},
    ),
    Route(
        method="DELETE",
        path="/queues/{queue}/limits/concurrency",
        name="clearConcurrency",
        summary="Take the concurrency limit away",
        tag="queues",
        command="ClearConcurrency",
    ),
    *_settings("stall", "StallConfig", "when a worker counts as stalled", StallSettings, {"maxStalls": 5}),
    *_settings("dlq", "DlqConfig", "its dead letters", DlqSettings, {"maxEntries": 500}),
)
