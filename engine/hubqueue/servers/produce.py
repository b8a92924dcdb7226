"""Handlers of PUSH and PUSHB. The plain forms go to the store as they were decoded."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Final

from hubqueue.errors import Invalid, PayloadTooLarge
from hubqueue.hub.verbs.enqueue import enqueue, enqueue_forwarded
from hubqueue.model.job import NewJob
from hubqueue.model.limits import MAX_BATCH, MAX_DATA_BYTES, check_new_job, check_queue, check_size
from hubqueue.servers.door import Call, Handlers
from hubqueue.wire.commands.produce import PlainPush, PlainPushB, Push, PushB
from hubqueue.wire.jobin import JobIn, to_new_job

MAX_BATCH_BYTES: Final = 16 * 1024 * 1024  # one PUSHB is one transaction: a longer one would stop all others
known_queue: Final = lru_cache(maxsize=4096)(check_queue)  # names repeat; each is matched once


def push_plain(call: Call, command: PlainPush) -> None:
    queue = known_queue(command.queue)
    if call.size > MAX_DATA_BYTES:
        check_size(command.data)
    call.run(lambda tx: enqueue(tx, queue, (command,)), _id)


def push(call: Call, command: Push) -> None:
    queue = known_queue(command.queue)
    job = to_new_job(command, command.job_id)
    check_new_job(job)
    call.run(lambda tx: enqueue(tx, queue, (job,)), _id, durable=bool(command.durable))


def push_plain_batch(call: Call, command: PlainPushB) -> None:
    queue, jobs = known_queue(command.queue), command.jobs
    _check_batch(call, len(jobs))
    if call.size > MAX_DATA_BYTES:
        for index, job in enumerate(jobs):
            _check_entry(index, check_size, job.data)
    call.run(lambda tx: enqueue(tx, queue, jobs), _ids)


def push_batch(call: Call, command: PushB) -> None:
    queue = known_queue(command.queue)
    _check_batch(call, len(command.jobs))
    jobs = new_jobs(command.jobs)
    durable = any(entry.durable for entry in command.jobs)
    floor = command.forward_floor
    if floor is None:
        call.run(lambda tx: enqueue(tx, queue, jobs), _ids, durable=durable)
    else:
        call.run(lambda tx: enqueue_forwarded(tx, queue, jobs, floor), _ids, durable=durable)


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


def _id(ids: list[str]) -> dict[str, Any]:
    return {"id": ids[0]}


def _ids(ids: list[str]) -> dict[str, Any]:
    return {"ids": ids}


HANDLERS: Final[Handlers] = {PlainPush: push_plain, Push: push, PlainPushB: push_plain_batch, PushB: push_batch}
