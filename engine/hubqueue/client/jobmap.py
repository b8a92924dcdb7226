"""Jobs as the wire carries them: NewJob to the fields of PUSH, and the protocol's Job back to the model's.

User data passes as the bytes it is. The other side may be bunqueue: absent values come as ext 0, times as
floats, and integers beyond 32 bits must be sent as floats.
Source: bunqueue protocol v3, "Produce" and "The Job object".
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from hubqueue.model.job import (
    DEFAULT_ATTEMPTS,
    Attempt,
    Dedup,
    Flag,
    History,
    Job,
    OnFailure,
    Options,
    flags_of,
    history_blob,
    options_blob,
)
from hubqueue.model.repeat import Repeat
from hubqueue.model.retry import Backoff
from hubqueue.model.schedule import Schedule
from hubqueue.model.state import BY_LABEL, LABELS, State
from hubqueue.wire.fields import number
from hubqueue.wire.joboptions import POLICIES, run_options

UNDEFINED: Final = b"\xd4\x00\x00"  # ext 0: how the peer writes "absent"


def schedule_fields(schedule: Schedule) -> dict[str, Any]:
    """The fields of Cron."""
    fields = {
        "name": schedule.key,
        "queue": schedule.queue,
        "jobName": schedule.name,
        "priority": schedule.priority,
        "data": None if schedule.data is None else raw(schedule.data),
        "schedule": schedule.cron,
        "repeatEvery": None if schedule.every_ms is None else number(schedule.every_ms),
        "timezone": schedule.timezone,
        "maxLimit": schedule.limit,
        "immediately": schedule.immediately,
        "preventOverlap": False if schedule.overlap else None,  # True would withdraw the job of the last run
        "skipMissedOnRestart": schedule.skip_missed,
        "skipIfNoWorker": schedule.worker_only,
        **run_options(schedule),
    }
    return {name: value for name, value in fields.items() if value is not None}


def raw(data: bytes) -> msgspec.Raw:
    """Data that is MessagePack already, to be placed into a message as it is."""
    return msgspec.Raw(data)


def present(value: msgspec.Raw) -> bytes | None:
    """The bytes of a field; None if it was missing, or sent as undefined."""
    data = bytes(value)
    return None if not data or data == UNDEFINED else data


class WireBackoff(msgspec.Struct, rename="camel"):
    """backoffConfig of the protocol's Job."""

    type: Literal["exponential", "fixed"]
    delay: float
    max_delay: float = Backoff().max_ms
    jitter: float = Backoff().jitter


class WireRepeat(msgspec.Struct, rename="camel"):
    """The chain of a repeated job. Units: milliseconds."""

    count: float = 0
    every: float | None = None
    pattern: str | None = None
    limit: float | None = None
    start_date: float | None = None
    end_date: float | None = None
    tz: str | None = None
    immediately: bool | None = None
    prev_millis: float | None = None
    offset: float | None = None
    job_id: str | None = None


class WireStep(msgspec.Struct):
    """One entry of the protocol's timeline. Only hubqueue says the reason."""

    state: str
    timestamp: float
    error: msgspec.Raw = msgspec.Raw()
    attempt: float | None = None
    reason: str | None = None


class WireJob(msgspec.Struct, rename="camel"):
    """The protocol's Job, the fields that the model keeps. Units: milliseconds."""

    id: str
    queue: str
    name: str = "default"
    data: msgspec.Raw = msgspec.Raw()
    state: msgspec.Raw = msgspec.Raw()
    seq: float = 0
    priority: float = 0
    created_at: float = 0
    run_at: float = 0
    started_at: float | None = None
    completed_at: float | None = None
    finished_at: float | None = None
    last_heartbeat: float | None = None
    attempts: float = 0
    max_attempts: float = DEFAULT_ATTEMPTS
    backoff_config: WireBackoff | None = None
    progress: float | None = 0
    progress_message: str | None = None
    stacktrace: tuple[str, ...] | None = None
    failed_reason: msgspec.Raw = msgspec.Raw()
    reason: str | None = None
    timeline: tuple[WireStep, ...] = ()
    lost_count: float = 0
    returnvalue: msgspec.Raw = msgspec.Raw()
    stall_count: float = 0
    custom_id: str | None = None
    durable: bool = False
    lifo: bool = False
    remove_on_complete: bool = False
    remove_on_fail: bool = False
    ttl: float | None = None
    keep_trying: float | None = None
    ends_at: float | None = None
    timeout: float | None = None
    stall_timeout: float | None = None
    tags: tuple[str, ...] = ()
    stack_trace_limit: float = Options().stack_trace_limit
    unique_key: str | None = None
    deduplication_ttl: float | None = None
    deduplication_extend: bool = False
    deduplication_replace: bool = False
    group_id: str | None = None
    depends_on: tuple[str, ...] = ()
    children_ids: tuple[str, ...] = ()
    parent_id: str | None = None
    fail_parent_on_failure: bool = False
    continue_parent_on_failure: bool = False
    ignore_dependency_on_failure: bool = False
    remove_dependency_on_failure: bool = False
    repeat: WireRepeat | None = None


def job_of(wire: WireJob, state: State | None = None) -> Job:
    """The model's Job. state: what is known of it where the reply carries none."""
    options = _options_of(wire)
    label = present(wire.state)
    return Job(
        id=wire.id,
        queue=wire.queue,
        seq=int(wire.seq) or _seq_in(wire.id),
        state=_state_of(label) if label is not None else state or State.WAITING,
        flags=flags_of(options, wire.custom_id) | (Flag.DEPENDENT if _has_waited(wire) else 0),
        priority=int(wire.priority),
        name=wire.name,
        data=present(wire.data),
        run_at_ms=int(wire.run_at),
        created_at_ms=int(wire.created_at),
        attempts=int(wire.attempts),
        max_attempts=int(wire.max_attempts),
        stall_count=int(wire.stall_count),
        lost_count=int(wire.lost_count),
        started_at_ms=_whole(wire.started_at),
        heartbeat_at_ms=_whole(wire.last_heartbeat),
        finished_at_ms=_whole(wire.finished_at if wire.finished_at is not None else wire.completed_at),
        expires_at_ms=_whole(wire.ends_at),
        progress=wire.progress or 0.0,
        custom_id=wire.custom_id,
        options_blob=options_blob(options),
        history_blob=history_blob(_history_of(wire)),
        result=present(wire.returnvalue),
    )


def _options_of(wire: WireJob) -> Options:
    wired = wire.backoff_config
    return Options(
        backoff=None if wired is None else Backoff(wired.type, wired.delay, wired.max_delay, wired.jitter),
        timeout_ms=_whole(wire.timeout),
        ttl_ms=_whole(wire.ttl),
        keep_trying_ms=_whole(wire.keep_trying),
        stall_timeout_ms=_whole(wire.stall_timeout),
        lifo=wire.lifo,
        durable=wire.durable,
        dedup=None
        if wire.unique_key is None
        else Dedup(
            wire.unique_key, _whole(wire.deduplication_ttl), wire.deduplication_extend, wire.deduplication_replace
        ),
        remove_on_complete=wire.remove_on_complete,
        remove_on_fail=wire.remove_on_fail,
        tags=wire.tags,
        stack_trace_limit=int(wire.stack_trace_limit),
        group=wire.group_id,
        depends_on=wire.depends_on,
        children_ids=wire.children_ids,
        parent_id=wire.parent_id,
        on_failure=_policy_of(wire),
        repeat=_repeat_of(wire.repeat),
    )


def _repeat_of(wire: WireRepeat | None) -> Repeat | None:
    if wire is None:
        return None
    return Repeat(
        every_ms=_whole(wire.every),
        pattern=wire.pattern,
        timezone=wire.tz,
        limit=_whole(wire.limit),
        count=int(wire.count),
        start_ms=_whole(wire.start_date),
        end_ms=_whole(wire.end_date),
        prev_ms=_whole(wire.prev_millis),
        offset_ms=_whole(wire.offset),
        immediately=wire.immediately,
        key=wire.job_id,
    )


def _has_waited(wire: WireJob) -> bool:
    """For other jobs, after it was pushed: that is what its first step says."""
    return bool(wire.timeline) and wire.timeline[0].state == LABELS[State.WAITING_CHILDREN]


def _policy_of(wire: WireJob) -> OnFailure | None:
    flags = (
        wire.fail_parent_on_failure,
        wire.continue_parent_on_failure,
        wire.ignore_dependency_on_failure,
        wire.remove_dependency_on_failure,
    )
    return next((policy for policy, flag in zip(POLICIES, flags, strict=True) if flag), None)


def _history_of(wire: WireJob) -> History:
    attempts: list[Attempt] = []
    started_at = wire.created_at
    for step in wire.timeline:
        if step.state == LABELS[State.ACTIVE]:
            started_at = step.timestamp
        elif step.state == LABELS[State.FAILED] and step.attempt is not None:
            reason = step.reason or "explicit_fail"
            attempts.append(Attempt(int(step.attempt), int(started_at), int(step.timestamp), reason, text(step.error)))
    return History(tuple(attempts), wire.reason, text(wire.failed_reason), wire.stacktrace or (), wire.progress_message)


def _state_of(label: bytes) -> State:
    """`prioritized` and `paused` are views of waiting; a word of a newer hub is taken as that too."""
    return BY_LABEL.get(msgspec.msgpack.decode(label, type=str), State.WAITING)


def _seq_in(id: str) -> int:
    tail = id.rpartition("-")[2]
    return int(tail) if tail.isascii() and tail.isdecimal() and len(tail) < 17 else 0


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)


def text(value: msgspec.Raw) -> str | None:
    """The text of a field that may be undefined or, from a careless client, no text at all."""
    data = present(value)
    if data is None:
        return None
    decoded = msgspec.msgpack.decode(data)
    return None if decoded is None else str(decoded)
