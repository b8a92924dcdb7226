"""Jobs as they come in: the plain struct that the store takes as it is, and the full one that is converted.

Most jobs have a name, data and at most a priority, a delay and a number of attempts. `PlainJob` holds just
those, refuses anything else and satisfies `model.job.Enqueueable`, so that a batch of such jobs is enqueued
without touching one of them. Any other job is read as `JobIn` and becomes a `NewJob`.
"""

from __future__ import annotations

from typing import Any, ClassVar, Final, Literal

import msgspec
from msgspec import Raw, field

from hubqueue.errors import Invalid
from hubqueue.model.job import DEFAULT_ATTEMPTS, Dedup, NewJob, OnFailure, Options, attempts_of
from hubqueue.model.retry import DEFAULT_BACKOFF, Backoff
from hubqueue.wire.fields import (
    ABSENT,
    Attempts,
    BackoffMs,
    DelayMs,
    Fraction,
    JobId,
    JobName,
    Priority,
    TimeMs,
    TimeoutMs,
    Whole,
    value_bytes,
)
from hubqueue.wire.loose import positive
from hubqueue.wire.repeat import RepeatIn, to_repeat

# the failure policies of a child, the strongest first: the first that is set counts
POLICIES: Final = (
    ("fail_parent_on_failure", OnFailure.FAIL),
    ("continue_parent_on_failure", OnFailure.CONTINUE),
    ("ignore_dependency_on_failure", OnFailure.IGNORE),
    ("remove_dependency_on_failure", OnFailure.REMOVE),
)


class PlainJob(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A job without rare options, ready for the store."""

    name: JobName
    data: Raw
    priority: Priority = 0
    delay_ms: DelayMs = field(name="delay", default=0)
    max_attempts: Attempts = field(name="maxAttempts", default=DEFAULT_ATTEMPTS)

    run_at_ms: ClassVar[None] = None
    created_at_ms: ClassVar[None] = None
    custom_id: ClassVar[None] = None
    options: ClassVar[None] = None


class BackoffIn(msgspec.Struct, rename="camel", gc=False):
    """Back-off in its long form."""

    type: Literal["fixed", "exponential"]
    delay: BackoffMs
    max_delay: BackoffMs | None = None
    jitter: Fraction | None = None


class DedupIn(msgspec.Struct, gc=False):
    """What to do about a second job with the same `uniqueKey`."""

    ttl: DelayMs | None = None
    extend: bool | None = None
    replace: bool | None = None


class JobFields(msgspec.Struct, rename="camel", gc=False, kw_only=True):
    """Every option of a job but its custom id, whose name differs. `runAt` and `keepTrying` are ours."""

    name: JobName | None = None
    data: Raw = ABSENT
    priority: Priority = 0
    delay: DelayMs = 0
    max_attempts: Attempts | None = None
    timestamp: TimeMs | None = None
    run_at: TimeMs | None = None
    backoff: BackoffMs | BackoffIn | None = None
    timeout: TimeoutMs | None = None
    ttl: DelayMs | None = None
    keep_trying: DelayMs | None = None
    stall_timeout: TimeoutMs | None = None
    unique_key: JobId | None = None
    dedup: DedupIn | None = None
    tags: tuple[str, ...] | None = None
    lifo: bool | None = None
    durable: bool | None = None
    remove_on_complete: bool | None = None
    remove_on_fail: bool | None = None
    stack_trace_limit: Whole = 10
    depends_on: list[str] | None = None
    children_ids: list[str] | None = None
    parent_id: str | None = None
    fail_parent_on_failure: bool | None = None
    continue_parent_on_failure: bool | None = None
    ignore_dependency_on_failure: bool | None = None
    remove_dependency_on_failure: bool | None = None
    group_id: str | None = None
    group_max_size: Any = None
    repeat: RepeatIn | None = None


class JobIn(JobFields, rename="camel", gc=False, kw_only=True):
    """One entry of a batch."""

    custom_id: JobId | None = None


def to_new_job(job: JobFields, custom_id: str | None) -> NewJob:
    """The job as the engine's own value. Errors: Invalid."""
    if job.repeat is not None:
        check_alone(job, custom_id)
    data = value_bytes(job.data)
    name = job.name
    if name is None:
        name, data = take_name(data)
    options = options_of(job)
    return NewJob(
        name=name,
        data=data,
        priority=job.priority,
        delay_ms=job.delay,
        max_attempts=attempts_of(job.max_attempts, options),
        run_at_ms=job.run_at,
        created_at_ms=job.timestamp,
        custom_id=custom_id or None,
        options=_with_relatives(options, job),
    )


def _with_relatives(options: Options, job: JobFields) -> Options:
    on_failure = next((policy for field, policy in POLICIES if getattr(job, field)), None)
    if not job.depends_on and not job.children_ids and job.parent_id is None and on_failure is None:
        return options
    return msgspec.structs.replace(
        options,
        depends_on=tuple(job.depends_on or ()),
        children_ids=tuple(job.children_ids or ()),
        parent_id=job.parent_id,
        on_failure=on_failure,
    )


def check_alone(job: JobFields, custom_id: str | None) -> None:
    """A repeated job has no id of its own choice and no relatives. Errors: Invalid."""
    if custom_id:
        raise Invalid("repeat jobs cannot use JobOptions.jobId; use repeat.jobId instead")
    if job.depends_on or job.parent_id is not None or job.children_ids:
        raise Invalid("repeat jobs cannot participate in parent or dependency relationships")


def options_of(job: JobFields) -> Options:
    """The rare options of a job."""
    return Options(
        backoff=_backoff(job.backoff),
        timeout_ms=job.timeout or None,
        ttl_ms=job.ttl or None,
        keep_trying_ms=job.keep_trying or None,
        stall_timeout_ms=job.stall_timeout or None,
        lifo=bool(job.lifo),
        durable=bool(job.durable),
        dedup=_dedup(job),
        remove_on_complete=bool(job.remove_on_complete),
        remove_on_fail=bool(job.remove_on_fail),
        tags=job.tags or (),
        stack_trace_limit=job.stack_trace_limit,
        repeat=to_repeat(job.repeat),
        group=job.group_id,
        group_max_size=_group_max_size(job),
    )


def _group_max_size(job: JobFields) -> int | None:
    """Kept only beside a group, without which it says nothing."""
    if job.group_max_size is None:
        return None
    size = positive("group.maxSize", job.group_max_size)
    return None if job.group_id is None else size


def _backoff(value: float | BackoffIn | None) -> Backoff | None:
    if value is None:
        return None
    if isinstance(value, BackoffIn):
        return Backoff(
            value.type,
            value.delay,
            DEFAULT_BACKOFF.max_ms if value.max_delay is None else value.max_delay,
            DEFAULT_BACKOFF.jitter if value.jitter is None else value.jitter,
        )
    return Backoff(delay_ms=value)


def _dedup(job: JobFields) -> Dedup | None:
    if not job.unique_key:
        return None
    rule = job.dedup or DedupIn()
    return Dedup(key=job.unique_key, ttl_ms=rule.ttl or None, extend=bool(rule.extend), replace=bool(rule.replace))


_read_map: Final = msgspec.msgpack.Decoder(dict[str, Raw]).decode
_read_text: Final = msgspec.msgpack.Decoder(str).decode
_write: Final = msgspec.msgpack.Encoder().encode


def take_name(data: bytes | None) -> tuple[str, bytes | None]:
    """The name of a job pushed without one: the text `name` of its data, which is taken out, else "default".

    Source: docs/protocol.md, PUSH (clients of protocol version 2).
    """
    if data is None:
        return "default", None
    try:
        fields = _read_map(data)
        name = _read_text(fields.pop("name"))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, KeyError):
        return "default", data
    if not 1 <= len(name) <= 256:
        raise Invalid("Job name must be a non-empty string of at most 256 characters")
    return name, _write(fields)
