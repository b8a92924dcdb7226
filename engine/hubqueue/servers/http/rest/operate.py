"""Routes of who operates a hub: how it is, its pipelines and rules, its configuration, backups and tokens."""

from __future__ import annotations

import base64
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from hubqueue.errors import Duplicate, Invalid, NotFound, UnknownCommand, WrongState
from hubqueue.servers.http.rest.fields import Name, QueueName
from hubqueue.servers.http.rest.newjob import NewJob
from hubqueue.servers.http.rest.route import Asked, Route, sent
from hubqueue.wire.jobjson import options_json

EMBEDDED: Final = (UnknownCommand,)  # a hub that lives in another program has no operator's commands

Loose = dict[str, Any]


class Span(msgspec.Struct, kw_only=True):
    """Which queue, all without one; how far back."""

    queue: QueueName | UnsetType = UNSET
    span: Literal["15m", "1h", "6h", "24h"] = "15m"


class Sample(msgspec.Struct, rename="camel", forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A message: its payload as text or in base64. With `rule` that one is tried instead of the hub's own."""

    topic: Annotated[str, Meta(min_length=1, max_length=65_535)]
    payload: Annotated[str, Meta(max_length=1_048_576)] | UnsetType = UNSET
    payload_base64: Annotated[str, Meta(max_length=1_400_000)] | UnsetType = UNSET
    qos: Annotated[int, Meta(ge=0, le=2)] | UnsetType = UNSET
    retain: bool | UnsetType = UNSET
    rule: Loose | UnsetType = UNSET


class Match(msgspec.Struct, kw_only=True):
    """What a rule, by its place, makes of it. job: under the names of a new one."""

    rule: int | None
    topic: str | None
    outcome: str
    queue: str | UnsetType = UNSET
    job: NewJob | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    error: str | UnsetType | None = UNSET


class Tested(msgspec.Struct):
    """What the rules make of it; nothing was enqueued."""

    matches: list[Match]
    unroutable: bool


class NewToken(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Who it is for, what it is good for, and for which queues alone."""

    name: Name
    scopes: Annotated[list[Literal["read", "enqueue", "pull", "work", "admin"]], Meta(min_length=1, max_length=5)]
    queues: Annotated[list[QueueName], Meta(min_length=1, max_length=1000)] | UnsetType = UNSET


async def _test(asked: Asked) -> Any:
    fields = sent(asked.body)
    text, coded = fields.pop("payload", ""), fields.pop("payloadBase64", None)
    if coded is not None and text:
        raise Invalid("A message has one payload", hint="send payload or payloadBase64")
    reply = await asked.ask("RuleTest", payload=text.encode() if coded is None else _bytes(coded), **fields)
    return reply | {"matches": [_match(each) for each in reply["matches"]]}


def _match(match: Loose) -> Loose:
    if "job" not in match:
        return match
    job = match["job"]
    return match | {"job": {name: job[name] for name in ("name", "data")} | options_json(job)}


def _bytes(coded: str) -> bytes:
    try:
        return base64.b64decode(coded, validate=True)
    except ValueError as error:
        raise Invalid(f"payloadBase64 is not base64: {error}") from error


async def _publish(asked: Asked) -> Any:
    return await asked.ask("Publish", channel=asked.path["channel"], data=asked.body)


ROUTES: Final = (
    Route(
        method="GET",
        path="/info",
        name="getInfo",
        summary="Which hub this is",
        tag="hub",
        command="Hello",
    ),
    Route(
        method="GET",
        path="/overview",
        name="getOverview",
        summary="The hub at a glance",
        tag="hub",
        command="Overview",
    ),
    Route(
        method="GET",
        path="/history",
        name="getHistory",
        summary="Figures of the last minutes and hours",
        tag="hub",
        command="History",
        query=Span,
    ),
    Route(
        method="GET",
        path="/workers",
        name="listWorkers",
        summary="Who works",
        tag="hub",
        command="ListWorkers",
    ),
    Route(
        method="GET",
        path="/config",
        name="getConfig",
        summary="The configuration as it was loaded",
        tag="hub",
        command="Config",
        errors=EMBEDDED,
    ),
    Route(
        method="GET",
        path="/backups",
        name="listBackups",
        summary="Backups beside the job file",
        tag="hub",
        command="Backups",
        errors=EMBEDDED,
    ),
    Route(
        method="POST",
        path="/backups",
        name="makeBackup",
        summary="Write a backup beside the job file",
        tag="hub",
        command="Backup",
        status=201,
        errors=EMBEDDED,
    ),
    Route(
        method="GET",
        path="/pipelines",
        name="listPipelines",
        summary="How the pipelines are doing",
        tag="pipelines",
        command="Pipelines",
        errors=EMBEDDED,
    ),
    Route(
        method="GET",
        path="/rules",
        name="listRules",
        summary="The MQTT rules",
        tag="rules",
        command="Rules",
        errors=EMBEDDED,
    ),
    Route(
        method="POST",
        path="/rules/test",
        name="testRules",
        summary="What the rules would make of a message",
        tag="rules",
        command="RuleTest",
        body=Sample,
        example={"topic": "sensors/temperature/kitchen", "payload": "21.5"},
        reply=Tested,
        errors=EMBEDDED,
        run=_test,
    ),
    Route(
        method="POST",
        path="/channels/{channel}/messages",
        name="publish",
        summary="Tell everybody who listens to a channel; kept nowhere",
        tag="channels",
        command="Publish",
        body=Any,
        example={"scene": "evening"},
        run=_publish,
    ),
    Route(
        method="GET",
        path="/tokens",
        name="listTokens",
        summary="All tokens, without what they are",
        tag="tokens",
        command="TokenList",
    ),
    Route(
        method="POST",
        path="/tokens",
        name="addToken",
        summary="Make a token; it is shown this once",
        tag="tokens",
        command="TokenAdd",
        body=NewToken,
        example={"name": "greenhouse", "scopes": ["enqueue"], "queues": ["readings"]},
        status=201,
        errors=(Duplicate, WrongState),
    ),
    Route(
        method="DELETE",
        path="/tokens/{name}",
        name="revokeToken",
        summary="Revoke a token, at once",
        tag="tokens",
        command="TokenRevoke",
        errors=(NotFound, WrongState),
    ),
)
