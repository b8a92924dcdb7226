"""Handlers of what workers do: take jobs, settle them, keep their leases."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

from hubqueue.errors import HubqueueError, Invalid, LockLost
from hubqueue.hub.verbs.blobs import page
from hubqueue.hub.verbs.leased import clamp_lease_ms, extend, progress
from hubqueue.hub.verbs.settle import complete, fail, settle
from hubqueue.model.job import Leased
from hubqueue.model.limits import MAX_LEASE_BATCH, check_queue, check_size
from hubqueue.model.outcome import Blob, Complete, Fail, Outcome, Output, Reject, Release, Retry, Settlement
from hubqueue.model.throttle import ANY
from hubqueue.model.verbs import Renewal
from hubqueue.servers.door import OK, Call, Handlers
from hubqueue.servers.produce import known_queue, new_jobs
from hubqueue.wire.commands import consume as wire
from hubqueue.wire.fields import value_bytes
from hubqueue.wire.jobmap import job_map
from hubqueue.wire.loose import pull_of

FINALIZED: Final = {"data": {"applied": False, "reason": "already-finalized"}}
NOT_RENEWED: Final = "Job not found or not active (or invalid token)"


def pull(call: Call, command: wire.Pull) -> None:
    _lease(call, command, 1, _one_owned if command.owner else _one_open)


def pull_batch(call: Call, command: wire.PullB) -> None:
    shape = _many_owned if command.owner else _many_open
    if command.count is None:
        known_queue(command.queue)
        call.answer(shape([]))
    else:
        _lease(call, command, command.count, shape)


def _lease(call: Call, command: wire.Pull | wire.PullB, count: int, shape: Any) -> None:
    queue = known_queue(command.queue)
    owner = command.owner or None
    pull = ANY if command.group is None else pull_of(command.group)
    hub, holder = call.session.door.hub, call.session.holder
    detached = owner is None or command.detach
    if command.timeout:
        call.session.check_room()

    def done(result: list[Leased] | HubqueueError) -> None:
        if isinstance(result, HubqueueError):
            call.answer(result)
            return
        if detached and result:  # the connection's end is nothing to these leases
            hub.settled([each.job.id for each in result])
        call.answer(shape(result))

    lease_ms = clamp_lease_ms(command.lock_ttl)
    parked = hub.lease_or_park(queue, count, owner, lease_ms, command.timeout, holder, done, pull)
    if parked is not None:
        call.session.park(call, parked.cancel)


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


def cancel_poll(call: Call, command: wire.CancelPoll) -> None:
    call.answer({"cancelled": call.session.unpark(command.poll)})


def ack(call: Call, command: wire.Ack) -> None:
    result = value_bytes(command.result)
    check_size(result)
    done = [(command.id, command.token, result, command.remove_on_complete)]

    def shape(ignored: list[int]) -> dict[str, Any]:
        call.session.door.hub.settled([command.id])
        return FINALIZED if ignored else OK

    call.run(lambda tx: complete(tx, done), shape)


def ack_batch(call: Call, command: wire.AckB) -> None:
    ids = command.ids
    _check_batch("ids", ids)
    tokens = _parallel("tokens", command.tokens, len(ids))
    removes = _parallel("removeOnCompletes", command.remove_on_completes, len(ids))
    if command.results is None:
        results: list[bytes | None] = [None] * len(ids)
    else:
        results = [value_bytes(raw) for raw in _parallel("results", command.results, len(ids))]
        for result in results:
            check_size(result)
    done = list(zip(ids, tokens, results, removes, strict=True))

    def shape(ignored: list[int]) -> dict[str, Any]:
        call.session.door.hub.settled(ids)
        if not ignored:
            return OK
        return {"data": {"ignoredIndices": ignored, "ignoredIds": [ids[index] for index in ignored]}}

    call.run(lambda tx: complete(tx, done), shape)


def fail_job(call: Call, command: wire.Fail) -> None:
    stack = _lines(command.stack)
    outcome: Outcome
    if command.unrecoverable:
        outcome = Reject(command.error or "failed", stack=stack, remove=command.remove_on_fail)
    else:
        outcome = Fail(command.error, stack=stack, remove=command.remove_on_fail)
    _end(call, command.id, command.token, outcome)


def release(call: Call, command: wire.Release) -> None:
    _end(call, command.id, command.token, Release(command.delay / 1000))


def _end(call: Call, id: str, token: str | None, outcome: Outcome) -> None:
    def shape(applied: bool) -> dict[str, Any]:
        call.session.door.hub.settled([id])
        return OK if applied else FINALIZED

    call.run(lambda tx: fail(tx, id, token, outcome), shape)


def settle_all(call: Call, command: wire.Settle) -> None:
    _check_batch("settlements", command.settlements)
    settlements = [Settlement(each.id, each.token, _outcome(each)) for each in command.settlements]
    outputs = [
        Output(check_queue(each.queue), job)
        for index, each in enumerate(command.outputs)
        for job in new_jobs(each.jobs, f"outputs[{index}].jobs")
    ]
    blobs = [Blob(each.namespace, each.key, each.value) for each in command.blobs]
    expects = [Blob(each.namespace, each.key, each.value) for each in command.expects]
    for blob in blobs:
        check_size(blob.value)

    def shape(ids: list[str]) -> dict[str, Any]:
        call.session.door.hub.settled([each.id for each in settlements])
        return {"ids": ids}

    call.run(lambda tx: settle(tx, settlements, outputs, blobs, expects), shape, durable=bool(command.durable))


def get_blobs(call: Call, command: wire.GetBlobs) -> None:
    def shape(found: list[tuple[str, bytes]]) -> dict[str, Any]:
        return {"blobs": [{"key": key, "value": value} for key, value in found]}

    call.run(lambda tx: page(tx, command.namespace, command.after, command.limit), shape)


def _outcome(end: wire.SettlementIn) -> Outcome:
    match end.outcome:
        case "complete":
            result = value_bytes(end.result)
            check_size(result)
            return Complete(result, remove=end.remove)
        case "fail":
            return Fail(end.error, stack=_lines(end.stack), remove=end.remove, reason=end.reason or "explicit_fail")
        case "retry":
            return Retry(end.delay / 1000, end.error)
        case "reject":
            return Reject(end.error or "rejected", stack=_lines(end.stack), remove=end.remove)
        case "release":
            return Release(end.delay / 1000)


def heartbeat(call: Call, command: wire.JobHeartbeat) -> None:
    timed = command.token and command.duration is not None
    lease_ms = clamp_lease_ms(command.duration) if timed else None

    def verb(tx: Any) -> Renewal:
        (renewal,) = extend(tx, [(command.id, command.token or None)], lease_ms)
        if renewal is Renewal.LOST:
            raise LockLost(NOT_RENEWED)
        return renewal

    def shape(renewal: Renewal) -> dict[str, Any]:
        _resumed(call, [(command.id, command.token)], [renewal])
        return {"data": {"ok": True, "renewal": renewal.value}}

    call.run(verb, shape)


def heartbeat_batch(call: Call, command: wire.JobHeartbeatB) -> None:
    _check_batch("ids", command.ids)
    tokens = _parallel("tokens", command.tokens, len(command.ids))
    held = [(id, token or None) for id, token in zip(command.ids, tokens, strict=True)]

    def shape(renewals: list[Renewal]) -> dict[str, Any]:
        _resumed(call, held, renewals)
        return {"data": {"ok": True, **_renewals(renewals)}}

    call.run(lambda tx: extend(tx, held), shape)


def extend_lock(call: Call, command: wire.ExtendLock) -> None:
    lease_ms = clamp_lease_ms(command.duration)

    def verb(tx: Any) -> Renewal:
        (renewal,) = extend(tx, [(command.id, command.token or None)], lease_ms)
        if renewal is Renewal.LOST:
            raise LockLost("Lock not found or invalid token")
        return renewal

    def shape(renewal: Renewal) -> dict[str, Any]:
        _resumed(call, [(command.id, command.token)], [renewal])
        return {"data": {"renewal": renewal.value}}

    call.run(verb, shape)


def extend_locks(call: Call, command: wire.ExtendLocks) -> None:
    _check_batch("ids", command.ids)
    tokens = _parallel("tokens", command.tokens, len(command.ids))
    durations = _parallel("durations", command.durations, len(command.ids))
    held = [
        (id, token or None, clamp_lease_ms(duration))
        for id, token, duration in zip(command.ids, tokens, durations, strict=True)
    ]

    def verb(tx: Any) -> list[Renewal]:
        return [renewal for id, token, lease_ms in held for renewal in extend(tx, [(id, token)], lease_ms)]

    def shape(renewals: list[Renewal]) -> dict[str, Any]:
        _resumed(call, [(id, token) for id, token, _ in held], renewals)
        return _renewals(renewals)

    call.run(verb, shape)


def report_progress(call: Call, command: wire.Progress) -> None:
    if not math.isfinite(command.progress):
        raise Invalid("progress must be a finite number")
    call.run(lambda tx: progress(tx, command.id, command.token or None, command.progress, command.message))


def _resumed(call: Call, held: Sequence[tuple[str, str | None]], renewals: Sequence[Renewal]) -> None:
    """Leases renewed here belong to this connection from now on."""
    renewed = [
        (id, token)
        for (id, token), renewal in zip(held, renewals, strict=True)
        if token and renewal is not Renewal.LOST
    ]
    call.session.door.hub.resumed(call.session.holder, renewed)


def _renewals(renewals: list[Renewal]) -> dict[str, Any]:
    return {
        "count": sum(renewal is not Renewal.LOST for renewal in renewals),
        "renewals": [renewal.value for renewal in renewals],
    }


def _lines(stack: list[str] | None) -> tuple[str, ...]:
    return () if stack is None else tuple(line.strip() for line in stack if line.strip())


def _check_batch(field: str, entries: Sequence[object]) -> None:
    if len(entries) > MAX_LEASE_BATCH:
        raise Invalid(f"{field} must hold at most {MAX_LEASE_BATCH} entries", hint="send them in several batches")


def _parallel(field: str, values: Sequence[Any] | None, length: int) -> Sequence[Any]:
    """A list that goes along with `ids`. Errors: Invalid when it has another length."""
    if values is None:
        return [None] * length
    if len(values) != length:
        raise Invalid(f"ACKB {field} length must match ids length")
    return values


HANDLERS: Final[Handlers] = {
    wire.Pull: pull,
    wire.PullB: pull_batch,
    wire.CancelPoll: cancel_poll,
    wire.Ack: ack,
    wire.AckB: ack_batch,
    wire.Fail: fail_job,
    wire.Release: release,
    wire.Settle: settle_all,
    wire.GetBlobs: get_blobs,
    wire.JobHeartbeat: heartbeat,
    wire.JobHeartbeatB: heartbeat_batch,
    wire.ExtendLock: extend_lock,
    wire.ExtendLocks: extend_locks,
    wire.Progress: report_progress,
}
