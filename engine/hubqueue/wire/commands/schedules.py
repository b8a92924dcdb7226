"""Commands of recurring jobs."""

from __future__ import annotations

from msgspec import Raw

from hubqueue.wire.commands.base import Command
from hubqueue.wire.fields import ABSENT, JobId, JobName, Priority, RepeatMs, Whole
from hubqueue.wire.jobin import DedupIn, JobFields


class Cron(Command, tag="Cron", gc=False, kw_only=True):
    """Put a schedule: a job every `repeatEvery`, or at the times of `schedule`. `maxLimit` runs at most."""

    name: str
    queue: str
    job_name: JobName | None = None
    data: Raw = ABSENT
    schedule: str | None = None
    repeat_every: RepeatMs | None = None
    priority: Priority = 0
    max_limit: Whole | None = None
    timezone: str | None = None
    unique_key: JobId | None = None
    dedup: DedupIn | None = None
    immediately: bool | None = None
    prevent_overlap: bool | None = None
    skip_missed_on_restart: bool | None = None
    skip_if_no_worker: bool | None = None
    job_options: JobFields | None = None


class CronGet(Command, tag="CronGet", gc=False, kw_only=True):
    """One schedule."""

    name: str


class CronList(Command, tag="CronList", gc=False, kw_only=True):
    """All schedules."""


class CronRun(Command, tag="CronRun", gc=False, kw_only=True):
    """Enqueue the job of a schedule now, ours; when it fires next stays as it is."""

    name: str


class CronDelete(Command, tag="CronDelete", gc=False, kw_only=True):
    """Take a schedule away."""

    name: str
