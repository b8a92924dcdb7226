"""Commands of workers: taking jobs, settling them, keeping leases."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import UNSET, Raw, UnsetType, field

from hubqueue.wire.commands.base import Command
from hubqueue.wire.fields import ABSENT, BlobCount, DelayMs, LeaseCount, LeaseMs, LongPollMs
from hubqueue.wire.jobin import JobIn


class Pull(Command, tag="PULL", gc=False, kw_only=True):
    """Take one job; wait up to `timeout` for it. Without an owner there is no token."""

    queue: str
    owner: str | None = None
    timeout: LongPollMs = 0
    lock_ttl: LeaseMs = 30_000
    detach: bool | None = None
    group: Any = None


class PullB(Command, tag="PULLB", gc=False, kw_only=True):
    """Take up to `count` jobs; wait up to `timeout` for the first."""

    queue: str
    count: LeaseCount | None = None
    owner: str | None = None
    timeout: LongPollMs = 0
    lock_ttl: LeaseMs = 30_000
    detach: bool | None = None
    group: Any = None


class CancelPoll(Command, tag="CancelPoll", gc=False, kw_only=True):
    """Nobody waits for the answer of a long-poll any more: `poll` is its reqId. It gets none, and takes no job."""

    poll: Raw


class Ack(Command, tag="ACK", gc=False, kw_only=True):
    """The job is done."""

    id: str
    token: str | None = None
    result: Raw = ABSENT
    remove_on_complete: bool | None = None


class AckB(Command, tag="ACKB", gc=False, kw_only=True):
    """Many jobs are done; all tokens are checked before anything is applied."""

    ids: list[str]
    tokens: list[str | None] | None = None
    results: list[Raw] | None = None
    remove_on_completes: list[bool | None] | None = None


class Fail(Command, tag="FAIL", gc=False, kw_only=True):
    """The run failed: tried again while the job has attempts left, unless `unrecoverable`."""

    id: str
    token: str | None = None
    error: str | None = None
    stack: list[str] | None = None
    unrecoverable: bool | None = None
    remove_on_fail: bool | None = None


class Release(Command, tag="Release", gc=False, kw_only=True):
    """Give the job back: nothing is counted. `delay` keeps it back that long."""

    id: str
    token: str | None = None
    delay: DelayMs = 0


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


class Settle(Command, tag="Settle", gc=False, kw_only=True):
    """End leased jobs, enqueue outputs and store blobs, all or nothing."""

    settlements: list[SettlementIn] = field(default_factory=list)
    outputs: list[OutputIn] = field(default_factory=list)
    blobs: list[BlobIn] = field(default_factory=list)
    expects: list[BlobIn] = field(default_factory=list)
    durable: bool | None = None


class GetBlobs(Command, tag="GetBlobs", gc=False, kw_only=True):
    """State blobs of a namespace in order of key, those behind `after`."""

    namespace: str
    after: str = ""
    limit: BlobCount = 1000


class JobHeartbeat(Command, tag="JobHeartbeat", gc=False, kw_only=True):
    """The worker still works on this job."""

    id: str
    token: str | None = None
    duration: LeaseMs | None = None


class JobHeartbeatB(Command, tag="JobHeartbeatB", gc=False, kw_only=True):
    """The worker still works on these jobs."""

    ids: list[str]
    tokens: list[str | None] | None = None


class ExtendLock(Command, tag="ExtendLock", gc=False, kw_only=True):
    """Keep this lease for `duration` from now."""

    id: str
    duration: LeaseMs
    token: str | None = None


class ExtendLocks(Command, tag="ExtendLocks", gc=False, kw_only=True):
    """Keep these leases, each for its own duration."""

    ids: list[str]
    tokens: list[str | None]
    durations: list[LeaseMs]


class Progress(Command, tag="Progress", gc=False, kw_only=True):
    """How far the job is, 0 to 100. A null message clears the last one, an absent one keeps it."""

    id: str
    progress: float
    token: str | None = None
    message: str | UnsetType | None = UNSET
