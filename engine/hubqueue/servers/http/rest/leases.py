"""Routes of workers in any language: take jobs, keep them, end them.

A lease of this context belongs to no connection: it lasts its time, or until it is ended by its token. What a client
took that was gone before its answer was written is given back at once.
"""

from __future__ import annotations

import select
from typing import Annotated, Any, Final, Literal

import msgspec
from aiohttp import web
from msgspec import UNSET, Meta, UnsetType

from hubqueue.errors import Draining, Invalid, LockLost, LockRequired, NotFound, PayloadTooLarge, WrongState
from hubqueue.model.limits import MAX_LEASE_BATCH
from hubqueue.servers.http.requestcontext import session_of
from hubqueue.servers.http.rest.answers import answered
from hubqueue.servers.http.rest.fields import LeaseMs, Name, QueueName, Ref, Refs, Text, Token, WaitMs
from hubqueue.servers.http.rest.jobs import ENQUEUE_ERRORS, JobIds
from hubqueue.servers.http.rest.newjob import NewJob, push_many
from hubqueue.servers.http.rest.route import Asked, Fields, Route, sent
from hubqueue.wire.fields import DelayMs
from hubqueue.wire.jobjson import Job

OWNER: Final = "http"
LEASE_ERRORS: Final = (NotFound, WrongState, LockLost, LockRequired)

Tokens = Annotated[list[Token], Meta(min_length=1, max_length=MAX_LEASE_BATCH)]


class Lease(msgspec.Struct, rename="camel", forbid_unknown_fields=True, kw_only=True):
    """How many jobs, for how long, and how long to wait for the first. owner: who works on them, for people to see."""

    count: Annotated[int, Meta(ge=1, le=MAX_LEASE_BATCH)] = 1
    timeout: WaitMs = 0
    lock_ttl: LeaseMs = 30_000
    owner: Name = OWNER


class Leased(msgspec.Struct):
    """The jobs and their lease tokens, in the same order; none when there was nothing to do."""

    jobs: list[Job]
    tokens: list[str]


class Held(msgspec.Struct, rename="camel", forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A leased job is named by its token."""

    token: Token


class Done(Held, rename="camel", forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """The work is done."""

    result: Any = UNSET
    remove_on_complete: bool | UnsetType = UNSET


class Failed(Held, rename="camel", forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """The work failed; it is tried again while attempts are left, unless `unrecoverable`."""

    error: Text | UnsetType = UNSET
    stack: Annotated[list[Text], Meta(max_length=1000)] | UnsetType = UNSET
    unrecoverable: bool | UnsetType = UNSET
    remove_on_fail: bool | UnsetType = UNSET


class Released(Held, rename="camel", forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """The job goes back, nothing is counted; held back for `delay` milliseconds."""

    delay: DelayMs | UnsetType = UNSET


class Extended(Held, rename="camel", forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """The lease is to last so long from now."""

    duration: LeaseMs


class Progressed(Held, rename="camel", forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """How far it is, 0 to 100."""

    progress: Annotated[float, Meta(ge=0, le=100)]
    message: Text | UnsetType = UNSET


class Applied(msgspec.Struct):
    """Whether it changed anything: a job that has ended already stays as it is."""

    applied: bool


class Renewed(msgspec.Struct):
    """Whether the lease goes on, or the job was cancelled meanwhile."""

    renewal: str


class DoneMany(msgspec.Struct, rename="camel", forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Jobs that are done, with their tokens and, if there are any, results in the same order."""

    ids: Refs
    tokens: Tokens
    results: Annotated[list[Any], Meta(max_length=MAX_LEASE_BATCH)] | UnsetType = UNSET


class Ignored(msgspec.Struct, rename="camel"):
    """Those that had ended already."""

    ignored_ids: list[str]


class ExtendedMany(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Leases that are to last so long from now."""

    ids: Refs
    tokens: Tokens
    duration: LeaseMs


class RenewedMany(msgspec.Struct):
    """For each lease: `renewed`, `cancelled` (stop working) or `lost`; and how many are not lost."""

    count: int
    renewals: list[str]


class Settlement(Held, rename="camel", forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A leased job and how it ended.

    delay (ms) belongs to retry and release, result to complete, error to fail, retry and reject, reason to fail, remove
    to what ends the job.
    """

    id: Ref
    outcome: Literal["complete", "fail", "retry", "reject", "release"]
    result: Any = UNSET
    error: Text | UnsetType = UNSET
    reason: Name | UnsetType = UNSET
    delay: DelayMs | UnsetType = UNSET
    remove: bool | UnsetType = UNSET


_SAYS: Final = {  # what is of use with an outcome
    "complete": {"result", "remove"},
    "fail": {"error", "reason", "remove"},
    "retry": {"error", "delay"},
    "reject": {"error", "remove"},
    "release": {"delay"},
}


class Output(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Jobs to enqueue."""

    queue: QueueName
    jobs: Annotated[list[NewJob], Meta(max_length=1000)]


class Settle(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """End leased jobs and enqueue what follows from them, all or nothing."""

    settlements: Annotated[list[Settlement], Meta(max_length=MAX_LEASE_BATCH)]
    outputs: Annotated[list[Output], Meta(max_length=100)] | UnsetType = UNSET
    durable: bool | UnsetType = UNSET


async def _lease(asked: Asked) -> web.StreamResponse:
    session = session_of(asked.request)
    hub = session.context.hub
    try:
        reply = await asked.ask("PULLB", queue=asked.path["queue"], **sent(asked.body or Lease()))
        response = await answered(reply, 200)
        if _has_hung_up(asked.request):
            raise ConnectionResetError("the client has hung up")
        await response.prepare(asked.request)
        await response.write_eof()
    except BaseException:
        hub.give_back(session.lease_owner)
        raise
    hub.settled([job.id for job in reply["jobs"]])
    return response


async def _settle(asked: Asked) -> Any:
    settle = asked.body
    for index, settlement in enumerate(settle.settlements):
        idle = sent(settlement).keys() - _SAYS[settlement.outcome] - {"id", "token", "outcome"}
        if idle:
            raise Invalid(f"settlements[{index}]: {min(idle)} says nothing with the outcome {settlement.outcome}")
    fields = sent(settle) | {"settlements": [sent(each) for each in settle.settlements]}
    if settle.outputs is not UNSET:
        fields["outputs"] = [
            {"queue": each.queue, "jobs": push_many(each.jobs, f"outputs[{index}].jobs")}
            for index, each in enumerate(settle.outputs)
        ]
    return await asked.ask_once("Settle", **fields)


def _has_hung_up(request: web.Request) -> bool:
    """Whether the client has closed its connection, also if the loop has not read that yet."""
    transport = request.transport
    if transport is None or transport.is_closing():
        return True
    poll = select.poll()
    poll.register(transport.get_extra_info("socket").fileno(), select.POLLRDHUP | select.POLLHUP | select.POLLERR)
    return bool(poll.poll(0))


def _applied(reply: Fields) -> Any:
    return {"applied": reply.get("data", {}).get("applied", True)}


def _ignored(reply: Fields) -> Any:
    return {"ignoredIds": reply.get("data", {}).get("ignoredIds", [])}


async def _extend_many(asked: Asked) -> Any:
    body = asked.body
    durations = [body.duration] * len(body.ids)
    return await asked.ask("ExtendLocks", ids=body.ids, tokens=body.tokens, durations=durations)


ROUTES: Final = (
    Route(
        method="POST",
        path="/queues/{queue}/lease",
        name="lease",
        summary="Take jobs to work on; wait for the first",
        tag="leases",
        command="PULLB",
        body=Lease,
        body_optional=True,
        example={"count": 10, "timeout": 1000, "lockTtl": 60_000},
        reply=Leased,
        errors=(Draining,),
        run=_lease,
    ),
    Route(
        method="POST",
        path="/jobs/{id}/complete",
        name="complete",
        summary="The work on a leased job is done",
        tag="leases",
        command="ACK",
        body=Done,
        example={"token": "TOKEN", "result": {"on": True}},
        reply=Applied,
        pick=_applied,
        errors=(*LEASE_ERRORS, PayloadTooLarge),
    ),
    Route(
        method="POST",
        path="/jobs/{id}/fail",
        name="fail",
        summary="The work on a leased job failed",
        tag="leases",
        command="FAIL",
        body=Failed,
        example={"token": "TOKEN", "error": "the lamp did not answer"},
        reply=Applied,
        pick=_applied,
        errors=LEASE_ERRORS,
    ),
    Route(
        method="POST",
        path="/jobs/{id}/release",
        name="release",
        summary="Give a leased job back; nothing is counted",
        tag="leases",
        command="Release",
        body=Released,
        example={"token": "TOKEN", "delay": 5000},
        reply=Applied,
        pick=_applied,
        errors=LEASE_ERRORS,
    ),
    Route(
        method="POST",
        path="/jobs/{id}/extend",
        name="extend",
        summary="Keep a lease longer",
        tag="leases",
        command="ExtendLock",
        body=Extended,
        example={"token": "TOKEN", "duration": 60_000},
        reply=Renewed,
        pick=lambda reply: reply["data"],
        errors=LEASE_ERRORS,
    ),
    Route(
        method="POST",
        path="/jobs/{id}/progress",
        name="progress",
        summary="Tell how far a leased job is",
        tag="leases",
        command="Progress",
        body=Progressed,
        example={"token": "TOKEN", "progress": 50, "message": "half of it"},
        errors=LEASE_ERRORS,
    ),
    Route(
        method="POST",
        path="/leases/complete",
        name="completeMany",
        summary="The work on leased jobs is done: all or none",
        tag="leases",
        command="ACKB",
        body=DoneMany,
        example={"ids": ["ID"], "tokens": ["TOKEN"], "results": [42]},
        reply=Ignored,
        pick=_ignored,
        errors=(*LEASE_ERRORS, PayloadTooLarge),
    ),
    Route(
        method="POST",
        path="/leases/extend",
        name="extendMany",
        summary="Keep leases longer",
        tag="leases",
        command="ExtendLocks",
        body=ExtendedMany,
        example={"ids": ["ID"], "tokens": ["TOKEN"], "duration": 60_000},
        reply=RenewedMany,
        errors=LEASE_ERRORS,
        run=_extend_many,
    ),
    Route(
        method="POST",
        path="/leases/settle",
        name="settle",
        summary="End leased jobs and enqueue what follows, all or nothing",
        tag="leases",
        command="Settle",
        body=Settle,
        example={
            "settlements": [{"id": "ID", "token": "TOKEN", "outcome": "complete"}],
            "outputs": [{"queue": "mail", "jobs": [{"name": "send", "data": {"to": "ada"}}]}],
        },
        reply=JobIds,
        errors=(*LEASE_ERRORS, *ENQUEUE_ERRORS),
        run=_settle,
    ),
)
