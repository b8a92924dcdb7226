"""Commands of workers that end leases, and the state blobs that are stored with them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, Literal

import msgspec
from msgspec import Raw, field

from hubqueue.commands.call import OK, Call
from hubqueue.commands.command import (
    ENQUEUE,
    TAKE,
    WHOLE_HUB,
    WORK,
    Command,
    Needs,
    Touched,
    command,
    its_job,
    its_jobs,
)
from hubqueue.commands.enqueue import named_in, new_jobs
from hubqueue.commands.leases import check_batch, parallel
from hubqueue.errors import Forbidden
from hubqueue.hub.verbs.blobs import page
from hubqueue.hub.verbs.settle import complete, fail, settle
from hubqueue.model import outcome
from hubqueue.model.limits import LOOK_BYTES, check_queue, check_size
from hubqueue.model.outcome import Blob, Complete, Outcome, Output, Reject, Retry, Settlement
from hubqueue.wire.fields import ABSENT, BlobCount, DelayMs, value_bytes
from hubqueue.wire.jobin import JobIn

FINALIZED: Final = {"data": {"applied": False, "reason": "already-finalized"}}


def _settle(command: Settle) -> Touched:
    if command.blobs or command.expects:
        raise Forbidden("State blobs belong to no queue", hint="use a token that is not limited to queues")
    named = [id for output in command.outputs for id in named_in(output.jobs)]
    return Touched([each.queue for each in command.outputs], [*(each.id for each in command.settlements), *named])


@command(TAKE, its_job)
class Ack(Command, tag="ACK"):
    """The job is done."""

    id: str
    token: str | None = None
    result: Raw = ABSENT
    remove_on_complete: bool | None = None

    def handle(self, call: Call) -> None:
        result = value_bytes(self.result)
        if call.size > LOOK_BYTES:
            check_size(result)
        done = ((self.id, self.token, result, self.remove_on_complete),)
        call.reply(lambda tx: FINALIZED if complete(tx, done) else OK)


@command(TAKE, its_jobs)
class AckB(Command, tag="ACKB"):
    """Many jobs are done; all tokens are checked before anything is applied."""

    ids: list[str]
    tokens: list[str | None] | None = None
    results: list[Raw] | None = None
    remove_on_completes: list[bool | None] | None = None

    def handle(self, call: Call) -> None:
        ids = self.ids
        check_batch("ids", ids)
        tokens = parallel("ACKB", "tokens", self.tokens, len(ids))
        removes = parallel("ACKB", "removeOnCompletes", self.remove_on_completes, len(ids))
        if self.results is None:
            results: list[bytes | None] = [None] * len(ids)
        else:
            results = [value_bytes(raw) for raw in parallel("ACKB", "results", self.results, len(ids))]
            if call.size > LOOK_BYTES:
                for result in results:
                    check_size(result)
        done = list(zip(ids, tokens, results, removes, strict=True))

        def shape(ignored: list[int]) -> dict[str, Any]:
            if not ignored:
                return OK
            return {"data": {"ignoredIndices": ignored, "ignoredIds": [ids[index] for index in ignored]}}

        call.run(lambda tx: complete(tx, done), shape)


@command(TAKE, its_job)
class Fail(Command, tag="FAIL"):
    """The run failed: tried again while the job has attempts left, unless `unrecoverable`."""

    id: str
    token: str | None = None
    error: str | None = None
    stack: list[str] | None = None
    unrecoverable: bool | None = None
    remove_on_fail: bool | None = None

    def handle(self, call: Call) -> None:
        stack = _lines(self.stack)
        if self.unrecoverable:
            _end(call, self.id, self.token, Reject(self.error or "failed", stack=stack, remove=self.remove_on_fail))
        else:
            _end(call, self.id, self.token, outcome.Fail(self.error, stack=stack, remove=self.remove_on_fail))


@command(TAKE, its_job)
class Release(Command):
    """Give the job back: nothing is counted. `delay` keeps it back that long."""

    id: str
    token: str | None = None
    delay: DelayMs = 0

    def handle(self, call: Call) -> None:
        _end(call, self.id, self.token, outcome.Release(self.delay / 1000))


class SettlementIn(msgspec.Struct, rename="camel", gc=False, kw_only=True):
    """One leased job of a Settle and how it ended. `delay` belongs to retry and release."""

    id: str
    outcome: Literal["complete", "fail", "retry", "reject", "release"]
    token: str | None = None
    result: Raw = ABSENT
    error: str | None = None
    reason: str | None = None
    stack: list[str] | None = None
    delay: DelayMs = 0
    remove: bool | None = None


class OutputIn(msgspec.Struct, gc=False):
    """Jobs that a Settle enqueues."""

    queue: str
    jobs: list[JobIn]


class BlobIn(msgspec.Struct, gc=False):
    """A state blob that a Settle stores; without a value it is deleted."""

    namespace: str
    key: str
    value: bytes | None = None


def _also_needs(command: Settle) -> Iterable[Needs]:
    if command.outputs:
        yield ENQUEUE
    if command.blobs:
        yield WORK


@command(
    TAKE,
    _settle,
    new_ids=lambda command: (job.custom_id for output in command.outputs for job in output.jobs),
    also=_also_needs,
)
class Settle(Command):
    """End leased jobs, enqueue outputs and store blobs, all or nothing."""

    settlements: list[SettlementIn] = field(default_factory=list)
    outputs: list[OutputIn] = field(default_factory=list)
    blobs: list[BlobIn] = field(default_factory=list)
    expects: list[BlobIn] = field(default_factory=list)
    durable: bool | None = None

    def handle(self, call: Call) -> None:
        check_batch("settlements", self.settlements)
        settlements = [Settlement(each.id, each.token, _outcome(each)) for each in self.settlements]
        outputs = [
            Output(check_queue(each.queue), job)
            for index, each in enumerate(self.outputs)
            for job in new_jobs(each.jobs, f"outputs[{index}].jobs")
        ]
        blobs = [Blob(each.namespace, each.key, each.value) for each in self.blobs]
        expects = [Blob(each.namespace, each.key, each.value) for each in self.expects]
        for blob in blobs:
            check_size(blob.value)
        call.reply(lambda tx: {"ids": settle(tx, settlements, outputs, blobs, expects)}, durable=bool(self.durable))


@command(WORK, WHOLE_HUB)
class GetBlobs(Command):
    """State blobs of a namespace in order of key, those behind `after`."""

    namespace: str
    after: str = ""
    limit: BlobCount = 1000

    def handle(self, call: Call) -> None:
        def shape(found: list[tuple[str, bytes]]) -> dict[str, Any]:
            return {"blobs": [{"key": key, "value": value} for key, value in found]}

        call.run(lambda tx: page(tx, self.namespace, self.after, self.limit), shape)


def _end(call: Call, id: str, token: str | None, end: Outcome) -> None:
    call.reply(lambda tx: OK if fail(tx, id, token, end) else FINALIZED)


def _outcome(end: SettlementIn) -> Outcome:
    match end.outcome:
        case "complete":
            result = value_bytes(end.result)
            check_size(result)
            return Complete(result, remove=end.remove)
        case "fail":
            return outcome.Fail(
                end.error, stack=_lines(end.stack), remove=end.remove, reason=end.reason or "explicit_fail"
            )
        case "retry":
            return Retry(end.delay / 1000, end.error)
        case "reject":
            return Reject(end.error or "rejected", stack=_lines(end.stack), remove=end.remove)
        case "release":
            return outcome.Release(end.delay / 1000)


def _lines(stack: list[str] | None) -> tuple[str, ...]:
    return () if stack is None else tuple(line.strip() for line in stack if line.strip())
