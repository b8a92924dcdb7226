"""PUSH and PUSHB, each in two forms: plain (the usual one, taken as it is) and full (every option)."""

from __future__ import annotations

from typing import ClassVar

from msgspec import Raw, field

from hubqueue.model.job import DEFAULT_ATTEMPTS
from hubqueue.wire.commands.base import Command
from hubqueue.wire.fields import ABSENT, Attempts, Count, DelayMs, JobId, JobName, Priority
from hubqueue.wire.jobin import JobFields, JobIn, PlainJob


class PlainPush(Command, tag="PUSH", forbid_unknown_fields=True, gc=False, kw_only=True):
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


class Push(JobFields, tag_field="cmd", tag="PUSH", rename="camel", gc=False, kw_only=True):
    """Enqueue one job. No subclass of Command: a struct has one base, and this one has the options of a job."""

    queue: str
    job_id: JobId | None = None
    req_id: Raw = ABSENT


class PlainPushB(Command, tag="PUSHB", forbid_unknown_fields=True, gc=False, kw_only=True):
    """PUSHB of plain jobs only."""

    queue: str
    jobs: list[PlainJob]


class PushB(Command, tag="PUSHB", gc=False, kw_only=True):
    """Enqueue many jobs, all or none. forward_floor: a forwarder's lowest unsettled seq."""

    queue: str
    jobs: list[JobIn]
    forward_floor: Count | None = None
