"""PUSH and PUSHB, each in a plain form (the usual one, which the store takes as it was decoded) and a full one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from hashlib import sha256
from typing import Annotated, Any, ClassVar, Final

import msgspec
from msgspec import Meta, Raw, field

from hubqueue.commands.call import Call
from hubqueue.commands.command import ENQUEUE, Command, Row, Touched, command, its_queue
from hubqueue.errors import Invalid, PayloadTooLarge
from hubqueue.hub.verbs.enqueue import enqueue, enqueue_forwarded
from hubqueue.hub.verbs.idempotency import answered_once
from hubqueue.model.job import DEFAULT_ATTEMPTS, NewJob
from hubqueue.model.limits import LOOK_BYTES, MAX_BATCH, check_new_job, check_queue, check_size
from hubqueue.wire.fields import ABSENT, Attempts, Count, DelayMs, JobId, JobName, Priority
from hubqueue.wire.jobin import JobFields, JobIn, PlainJob, to_new_job

MAX_BATCH_BYTES: Final = 16 * 1024 * 1024  # one PUSHB is one transaction: a longer one would stop all others
_encode: Final = msgspec.msgpack.Encoder().encode
Once = Annotated[str, Meta(min_length=1, max_length=256)]
Enqueue = Callable[[Any], dict[str, Any]]
known_queue: Final = lru_cache(maxsize=4096)(check_queue)  # names repeat; each is matched once


def _push(command: Push) -> Touched:
    named = [command.job_id] if command.job_id else []
    return Touched((command.queue,), [*named, *relatives(command)])


def _push_batch(command: PushB) -> Touched:
    return Touched((command.queue,), named_in(command.jobs))


@command(ENQUEUE, its_queue)
class PlainPush(Command, tag="PUSH", forbid_unknown_fields=True):
    """PUSH without rare options: the command itself is what the store enqueues."""

    queue: str
    name: JobName
    data: Raw
    priority: Priority = 0
    delay_ms: DelayMs = field(name="delay", default=0)
    max_attempts: Attempts = DEFAULT_ATTEMPTS

    run_at_ms: ClassVar[None] = None
    created_at_ms: ClassVar[None] = None
    custom_id: ClassVar[None] = None
    options: ClassVar[None] = None

    def handle(self, call: Call) -> None:
        queue = known_queue(self.queue)
        if call.size > LOOK_BYTES:
            check_size(self.data)
        call.reply(lambda tx: {"id": enqueue(tx, queue, (self,))[0]})


@command(ENQUEUE, _push, new_ids=lambda command: (command.job_id,))
class Push(JobFields, tag_field="cmd", tag="PUSH", rename="camel", gc=False, kw_only=True):
    """Enqueue one job. No subclass of Command: a struct has one base, and this one has the options of a job."""

    queue: str
    job_id: JobId | None = None
    once: Once | None = None
    req_id: Raw = ABSENT

    row: ClassVar[Row]

    def handle(self, call: Call) -> None:
        queue = known_queue(self.queue)
        job = to_new_job(self, self.job_id)
        check_new_job(job)
        verb = _once(call, self.once, (queue, self.job_id), lambda tx: {"id": enqueue(tx, queue, (job,))[0]})
        call.reply(verb, durable=bool(self.durable))


@command(ENQUEUE, its_queue)
class PlainPushB(Command, tag="PUSHB", forbid_unknown_fields=True):
    """PUSHB of plain jobs only."""

    queue: str
    jobs: list[PlainJob]

    def handle(self, call: Call) -> None:
        queue, jobs = known_queue(self.queue), self.jobs
        _check_batch(call, len(jobs))
        if call.size > LOOK_BYTES:
            for index, job in enumerate(jobs):
                _check_entry(index, check_size, job.data)
        call.reply(lambda tx: {"ids": enqueue(tx, queue, jobs)})


@command(ENQUEUE, _push_batch, new_ids=lambda command: (job.custom_id for job in command.jobs))
class PushB(Command, tag="PUSHB"):
    """Enqueue many jobs, all or none. forward_floor: a forwarder's lowest unsettled seq."""

    queue: str
    jobs: list[JobIn]
    forward_floor: Count | None = None
    once: Once | None = None

    def handle(self, call: Call) -> None:
        queue = known_queue(self.queue)
        _check_batch(call, len(self.jobs))
        jobs = new_jobs(self.jobs)
        durable = any(entry.durable for entry in self.jobs)
        floor = self.forward_floor
        if floor is None:
            asked = (queue, [job.custom_id for job in jobs])
            verb = _once(call, self.once, asked, lambda tx: {"ids": enqueue(tx, queue, jobs)})
            call.reply(verb, durable=durable)
        else:
            call.reply(lambda tx: {"ids": enqueue_forwarded(tx, queue, jobs, floor)}, durable=durable)


def _once(call: Call, key: str | None, asked: object, verb: Enqueue) -> Enqueue:
    """The verb, which under a key of its sender is done once: whoever sends it again gets the first answer again.

    Own ids do not make that safe: once a job has ended its id makes another job.
    """
    if key is None:
        return verb
    grant = call.session.grant
    place = sha256(_encode(("PUSH", "" if grant is None else grant.name, key))).digest()
    request = sha256(_encode(asked)).digest()

    return lambda tx: answered_once(tx, place, request, lambda: verb(tx))[0]


def relatives(job: JobFields) -> list[str]:
    """Jobs that a new job is tied to: it would see their results."""
    parent = [job.parent_id] if job.parent_id else []
    return [*(job.depends_on or ()), *(job.children_ids or ()), *parent]


def named_in(jobs: Iterable[Any]) -> list[str]:
    """The jobs that new jobs name: their relatives, and their own ids."""
    return [id for job in jobs for id in (*relatives(job), *([job.custom_id] if job.custom_id else ()))]


def new_jobs(entries: list[JobIn], where: str = "jobs") -> list[NewJob]:
    """The entries of a batch as the engine's values. Errors: Invalid naming the first bad entry."""
    return [_check_entry(index, _new_job, entry, where) for index, entry in enumerate(entries)]


def _new_job(entry: JobIn) -> NewJob:
    job = to_new_job(entry, entry.custom_id)
    check_new_job(job)
    if job.custom_id is not None and job.options is not None and job.custom_id in job.options.depends_on:
        raise Invalid(f"Job cannot depend on itself: {job.custom_id}")
    return job


def _check_entry(index: int, check: Any, value: Any, where: str = "jobs") -> Any:
    try:
        return check(value)
    except Invalid as error:
        raise type(error)(f"{where}[{index}]: {error.message}", hint=error.hint) from None


def _check_batch(call: Call, count: int) -> None:
    if count > MAX_BATCH:
        raise Invalid(f"jobs must hold at most {MAX_BATCH} entries", hint="push them in several batches")
    if call.size > MAX_BATCH_BYTES:
        raise PayloadTooLarge("PUSHB too large (max 16MB)", hint="push them in several batches")
