"""Commands of workers that take jobs and keep their leases."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final

from msgspec import UNSET, Raw, UnsetType

from hubqueue.commands.call import Call
from hubqueue.commands.command import NOTHING, TAKE, WORK, Command, command, its_job, its_jobs, its_queue
from hubqueue.commands.enqueue import known_queue
from hubqueue.errors import HubqueueError, Invalid, LockLost
from hubqueue.hub.verbs.lease import clamp_lease_ms
from hubqueue.hub.verbs.leased import extend, progress
from hubqueue.model.job import Leased
from hubqueue.model.limits import MAX_LEASE_BATCH
from hubqueue.model.throttle import ANY
from hubqueue.model.verbs import Renewal
from hubqueue.wire.fields import LeaseCount, LeaseMs, LongPollMs
from hubqueue.wire.jobmap import job_map
from hubqueue.wire.loose import pull_of

NOT_RENEWED: Final = "Job not found or not active (or invalid token)"


@command(TAKE, its_queue, weight=64 * 1024)
class Pull(Command, tag="PULL"):
    """Take one job; wait up to `timeout` for it. Without an owner there is no token."""

    queue: str
    owner: str | None = None
    timeout: LongPollMs = 0
    lock_ttl: LeaseMs = 30_000
    detach: bool | None = None
    group: Any = None

    def handle(self, call: Call) -> None:
        _lease(call, self, 1, _one_owned if self.owner else _one_open)


@command(TAKE, its_queue, weight=256 * 1024)
class PullB(Command, tag="PULLB"):
    """Take up to `count` jobs; wait up to `timeout` for the first."""

    queue: str
    count: LeaseCount | None = None
    owner: str | None = None
    timeout: LongPollMs = 0
    lock_ttl: LeaseMs = 30_000
    detach: bool | None = None
    group: Any = None

    def handle(self, call: Call) -> None:
        shape = _many_owned if self.owner else _many_open
        if self.count is None:
            known_queue(self.queue)
            call.answer(shape([]))
        else:
            _lease(call, self, self.count, shape)


@command(TAKE, NOTHING)
class CancelPoll(Command):
    """Nobody waits for the answer of a long-poll any more: `poll` is its reqId. It gets none, and takes no job."""

    poll: Raw

    def handle(self, call: Call) -> None:
        call.answer({"cancelled": call.session.unpark(self.poll)})


@command(TAKE, its_job)
class JobHeartbeat(Command):
    """The worker still works on this job."""

    id: str
    token: str | None = None
    duration: LeaseMs | None = None

    def handle(self, call: Call) -> None:
        timed = self.token and self.duration is not None
        lease_ms = clamp_lease_ms(self.duration) if timed else None

        def verb(tx: Any) -> Renewal:
            (renewal,) = extend(tx, [(self.id, self.token or None)], lease_ms)
            if renewal is Renewal.LOST:
                raise LockLost(NOT_RENEWED)
            _resumed(tx, call, [(self.id, self.token)], [renewal])
            return renewal

        call.run(verb, lambda renewal: {"data": {"ok": True, "renewal": renewal.value}})


@command(TAKE, its_jobs)
class JobHeartbeatB(Command):
    """The worker still works on these jobs."""

    ids: list[str]
    tokens: list[str | None] | None = None

    def handle(self, call: Call) -> None:
        check_batch("ids", self.ids)
        tokens = parallel("JobHeartbeatB", "tokens", self.tokens, len(self.ids))
        held = [(id, token or None) for id, token in zip(self.ids, tokens, strict=True)]

        def verb(tx: Any) -> list[Renewal]:
            renewals = extend(tx, held)
            _resumed(tx, call, held, renewals)
            return renewals

        call.run(verb, lambda renewals: {"data": {"ok": True, **_renewals(renewals)}})


@command(TAKE, its_job)
class ExtendLock(Command):
    """Keep this lease for `duration` from now."""

    id: str
    duration: LeaseMs
    token: str | None = None

    def handle(self, call: Call) -> None:
        lease_ms = clamp_lease_ms(self.duration)

        def verb(tx: Any) -> Renewal:
            (renewal,) = extend(tx, [(self.id, self.token or None)], lease_ms)
            if renewal is Renewal.LOST:
                raise LockLost("Lock not found or invalid token")
            _resumed(tx, call, [(self.id, self.token)], [renewal])
            return renewal

        call.run(verb, lambda renewal: {"data": {"renewal": renewal.value}})


@command(TAKE, its_jobs)
class ExtendLocks(Command):
    """Keep these leases, each for its own duration."""

    ids: list[str]
    tokens: list[str | None]
    durations: list[LeaseMs]

    def handle(self, call: Call) -> None:
        check_batch("ids", self.ids)
        tokens = parallel("ExtendLocks", "tokens", self.tokens, len(self.ids))
        durations = parallel("ExtendLocks", "durations", self.durations, len(self.ids))
        held = [
            (id, token or None, clamp_lease_ms(duration))
            for id, token, duration in zip(self.ids, tokens, durations, strict=True)
        ]

        def verb(tx: Any) -> list[Renewal]:
            renewals = [renewal for id, token, lease_ms in held for renewal in extend(tx, [(id, token)], lease_ms)]
            _resumed(tx, call, [(id, token) for id, token, _ in held], renewals)
            return renewals

        call.run(verb, _renewals)


@command(WORK, its_job)
class Progress(Command):
    """How far the job is, 0 to 100. A null message clears the last one, an absent one keeps it."""

    id: str
    progress: float
    token: str | None = None
    message: str | UnsetType | None = UNSET

    def handle(self, call: Call) -> None:
        if not math.isfinite(self.progress):
            raise Invalid("progress must be a finite number")
        call.run(lambda tx: progress(tx, self.id, self.token or None, self.progress, self.message))


def _lease(call: Call, command: Pull | PullB, count: int, shape: Callable[[list[Leased]], dict[str, Any]]) -> None:
    session, owner = call.session, command.owner or None
    if command.timeout:
        session.check_room()
    parked = session.context.hub.lease_or_park(
        known_queue(command.queue),
        count,
        owner,
        clamp_lease_ms(command.lock_ttl),
        command.timeout,
        session.lease_owner,
        partial(_leased, call, shape),
        ANY if command.group is None else pull_of(command.group),
        detached=owner is None or bool(command.detach),
    )
    if parked is not None:
        session.park(call, parked.cancel)


def _leased(call: Call, shape: Callable[[list[Leased]], dict[str, Any]], result: list[Leased] | HubqueueError) -> None:
    call.session.answer(call, result if isinstance(result, HubqueueError) else shape(result))


def _one_owned(leased: list[Leased]) -> dict[str, Any]:
    if not leased:
        return {"job": None, "token": None}
    return {"job": job_map(leased[0].job), "token": leased[0].token}


def _one_open(leased: list[Leased]) -> dict[str, Any]:
    return {"job": job_map(leased[0].job) if leased else None}


def _many_owned(leased: list[Leased]) -> dict[str, Any]:
    return {"jobs": [job_map(each.job) for each in leased], "tokens": [each.token for each in leased]}


def _many_open(leased: list[Leased]) -> dict[str, Any]:
    return {"jobs": [job_map(each.job) for each in leased]}


def _resumed(tx: Any, call: Call, held: Sequence[tuple[str, str | None]], renewals: Sequence[Renewal]) -> None:
    """Leases renewed here belong to this connection from the commit on, unless they are ended in the same group."""
    renewed = [
        (id, token)
        for (id, token), renewal in zip(held, renewals, strict=True)
        if token and renewal is not Renewal.LOST
    ]
    tx.after.append(partial(call.session.context.hub.resumed, call.session.lease_owner, renewed))


def _renewals(renewals: list[Renewal]) -> dict[str, Any]:
    return {
        "count": sum(renewal is not Renewal.LOST for renewal in renewals),
        "renewals": [renewal.value for renewal in renewals],
    }


def check_batch(field: str, entries: Sequence[object]) -> None:
    """Errors: Invalid when there are too many."""
    if len(entries) > MAX_LEASE_BATCH:
        raise Invalid(f"{field} must hold at most {MAX_LEASE_BATCH} entries", hint="send them in several batches")


def parallel(command: str, field: str, values: Sequence[Any] | None, length: int) -> Sequence[Any]:
    """A list that goes along with `ids`. Errors: Invalid when it has another length."""
    if values is None:
        return [None] * length
    if len(values) != length:
        raise Invalid(f"{command} {field} length must match ids length")
    return values
