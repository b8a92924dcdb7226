"""Commands that change a whole queue, and those of its dead letters."""

from __future__ import annotations

from typing import Any

import msgspec

from hubqueue.wire.commands.base import Command
from hubqueue.wire.fields import Count, TimeMs, Whole


class Pause(Command, tag="Pause", gc=False, kw_only=True):
    """Hand out no more jobs of a queue."""

    queue: str


class Resume(Command, tag="Resume", gc=False, kw_only=True):
    """Hand out jobs of a queue again."""

    queue: str


class IsPaused(Command, tag="IsPaused", gc=False, kw_only=True):
    """Whether a queue is paused."""

    queue: str


class Drain(Command, tag="Drain", gc=False, kw_only=True):
    """Delete the queued jobs of a queue."""

    queue: str


class Obliterate(Command, tag="Obliterate", gc=False, kw_only=True):
    """Delete a queue with everything in it. force (ours): false: only one that holds no job but completed ones."""

    queue: str
    force: bool = True


class Clean(Command, tag="Clean", gc=False, kw_only=True):
    """Delete jobs that are older than `grace`, oldest first."""

    queue: str
    grace: Count | None = None
    state: str | None = None
    limit: Whole = 1000


class DlqFilter(msgspec.Struct, rename="camel", gc=False, kw_only=True):
    """Which dead letters; times are when they died. error (ours): what they died of, as DeadReasons groups it."""

    reason: str | None = None
    error: str | None = None
    older_than: TimeMs | None = None
    newer_than: TimeMs | None = None
    retriable: bool | None = None
    expired: bool | None = None
    offset: Count = 0
    limit: Count | None = None


class Dlq(Command, tag="Dlq", gc=False, kw_only=True):
    """The dead letters of a queue, oldest first."""

    queue: str
    count: Whole | None = None
    filter: DlqFilter | None = None


class GetDlqStats(Command, tag="GetDlqStats", gc=False, kw_only=True):
    """How many dead letters there are, and why."""

    queue: str


class RetryDlq(Command, tag="RetryDlq", gc=False, kw_only=True):
    """Run dead letters again: one, those of a filter, or all; the oldest `count` of them."""

    queue: str
    job_id: str | None = None
    count: Whole | None = None
    filter: DlqFilter | None = None


class PurgeDlq(Command, tag="PurgeDlq", gc=False, kw_only=True):
    """Delete the dead letters of a queue: those of a filter, or all."""

    queue: str
    filter: DlqFilter | None = None


class RemoveDlqJob(Command, tag="RemoveDlqJob", gc=False, kw_only=True):
    """Delete one dead letter."""

    queue: str
    job_id: str


class RetryCompleted(Command, tag="RetryCompleted", gc=False, kw_only=True):
    """Run completed jobs again."""

    queue: str
    id: str | None = None
    count: Whole | None = None
    timestamp: TimeMs | None = None


class SetStallConfig(Command, tag="SetStallConfig", gc=False, kw_only=True):
    """Say when a silent worker counts as stalled."""

    queue: str
    config: dict[str, Any]


class SetDlqConfig(Command, tag="SetDlqConfig", gc=False, kw_only=True):
    """Bound the dead letters of a queue, and let them be tried again by themselves."""

    queue: str
    config: dict[str, Any]


class GetStallConfig(Command, tag="GetStallConfig", gc=False, kw_only=True):
    """When a silent worker counts as stalled."""

    queue: str


class GetDlqConfig(Command, tag="GetDlqConfig", gc=False, kw_only=True):
    """The bounds of a queue's dead letters."""

    queue: str
