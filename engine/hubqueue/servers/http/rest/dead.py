"""Routes of dead letters: failed jobs that are not tried again by themselves."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from hubqueue.errors import Invalid, NotFound
from hubqueue.servers.http.rest.fields import Many, QueueName, Ref
from hubqueue.servers.http.rest.presence import missing
from hubqueue.servers.http.rest.route import Asked, Fields, Route, sent
from hubqueue.wire.fields import Tags, TimeMs
from hubqueue.wire.jobjson import Job

Reason = Annotated[str, Meta(min_length=1, max_length=256)]


class DeadFilter(msgspec.Struct, rename="camel", kw_only=True):
    """Which dead letters; times are when they died, in Unix milliseconds."""

    reason: Reason | UnsetType = UNSET
    tags: Tags | UnsetType = UNSET
    older_than: TimeMs | UnsetType = UNSET
    newer_than: TimeMs | UnsetType = UNSET
    offset: Annotated[int, Meta(ge=0, le=10_000_000)] = 0
    limit: Annotated[int, Meta(ge=1, le=200)] = 50


class FailedRun(msgspec.Struct, rename="camel", kw_only=True):
    """A run that failed; which one, and how long it took (ms)."""

    attempt: int
    started_at: int
    failed_at: int
    reason: str
    error: str | None
    duration: int


class Death(msgspec.Struct, rename="camel", kw_only=True):
    """A dead letter: the job, when and why it died, its failed runs."""

    job: Job
    entered_at: int
    reason: str
    error: str | None
    errors: list[FailedRun]
    retry_count: int
    last_retry_at: int | None
    next_retry_at: int | None
    expires_at: int | None


class DeadLetters(msgspec.Struct):
    """Dead letters, oldest first."""

    entries: list[Death]


class DeadStats(msgspec.Struct, rename="camel", kw_only=True):
    """How many dead letters a queue has, and why."""

    total: int
    by_reason: dict[str, int]
    pending_retry: int
    oldest_entry: int | None
    newest_entry: int | None


class Which(msgspec.Struct, kw_only=True):
    """Of this queue; of all without one."""

    queue: QueueName | UnsetType = UNSET


class Retried(msgspec.Struct):
    """How many run again (of `_unroutable`: became jobs), are left out by rules, stay dead; and why the first does."""

    count: int
    passed: int
    kept: int
    why: str | None


class Group(msgspec.Struct, rename="camel", forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Which dead letters: of a reason, of an error as `reasons` groups them, with tags; all without any of these."""

    reason: Reason | UnsetType = UNSET
    tags: Annotated[Tags, Meta(min_length=1)] | UnsetType = UNSET
    error: Annotated[str, Meta(max_length=4096)] | UnsetType = UNSET


class Again(Group, rename="camel", forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Which dead letters: these, or of a group, or all; the oldest so many of them."""

    ids: Annotated[list[Ref], Meta(min_length=1, max_length=1000)] | UnsetType = UNSET
    count: Many | UnsetType = UNSET


async def _list(asked: Asked) -> Any:
    reply = await asked.ask("Dlq", queue=asked.path["queue"], filter=sent(asked.query))
    return {"entries": [_death(entry) for entry in reply["entries"]]}


def _death(entry: Fields) -> Fields:
    """A dead letter; what the protocol calls attempts are the runs that failed."""
    return {"errors" if name == "attempts" else name: value for name, value in entry.items()}


async def _retry(asked: Asked) -> Any:
    queue, again = asked.path["queue"], asked.body or Again()
    if again.ids is not UNSET:
        if len(sent(again)) > 1:
            raise Invalid("ids go with no count, reason, error or tags", hint="they name the dead letters already")
        replies = [await asked.ask("RetryDlq", queue=queue, jobId=id) for id in again.ids]
    else:
        count = {} if again.count is UNSET else {"count": again.count}
        replies = [await asked.ask("RetryDlq", queue=queue, **count, **_group(again))]
    numbers = {name: sum(reply.get(name, 0) for reply in replies) for name in ("count", "passed", "kept")}
    return {**numbers, "why": next((reply["why"] for reply in replies if "why" in reply), None)}


async def _purge(asked: Asked) -> Any:
    return await asked.ask("PurgeDlq", queue=asked.path["queue"], **_group(asked.body or Group()))


async def _delete(asked: Asked) -> None:
    reply = await asked.ask("RemoveDlqJob", queue=asked.path["queue"], jobId=asked.path["id"])
    if not reply["data"]["removed"]:
        raise missing(asked)


def _group(wanted: Group) -> dict[str, Any]:
    chosen = {name: value for name in ("reason", "error", "tags") if (value := getattr(wanted, name)) is not UNSET}
    return {"filter": chosen} if chosen else {}


ROUTES: Final = (
    Route(
        method="GET",
        path="/dlq/reasons",
        name="listDeathReasons",
        summary="Why jobs died, in groups",
        tag="dead letters",
        command="DeadReasons",
        query=Which,
    ),
    Route(
        method="GET",
        path="/queues/{queue}/dlq",
        name="listDeadLetters",
        summary="The dead letters of a queue, oldest first",
        tag="dead letters",
        command="Dlq",
        query=DeadFilter,
        reply=DeadLetters,
        run=_list,
    ),
    Route(
        method="GET",
        path="/queues/{queue}/dlq/stats",
        name="countDeadLetters",
        summary="How many dead letters a queue has, and why",
        tag="dead letters",
        command="GetDlqStats",
        reply=DeadStats,
        pick=lambda reply: {name: reply["data"]["stats"][name] for name in DeadStats.__struct_encode_fields__},
    ),
    Route(
        method="POST",
        path="/queues/{queue}/dlq/retry",
        name="retryDeadLetters",
        summary="Run dead letters again: some, those of a group, or all",
        tag="dead letters",
        command="RetryDlq",
        body=Again,
        body_optional=True,
        example={"reason": "timeout"},
        reply=Retried,
        run=_retry,
    ),
    Route(
        method="POST",
        path="/queues/{queue}/dlq/purge",
        name="purgeDeadLetters",
        summary="Delete dead letters: those of a group, or all",
        tag="dead letters",
        command="PurgeDlq",
        body=Group,
        body_optional=True,
        example={"reason": "explicit_fail"},
        run=_purge,
    ),
    Route(
        method="DELETE",
        path="/queues/{queue}/dlq/{id}",
        name="deleteDeadLetter",
        summary="Delete one dead letter",
        tag="dead letters",
        command="RemoveDlqJob",
        errors=(NotFound,),
        run=_delete,
    ),
)
