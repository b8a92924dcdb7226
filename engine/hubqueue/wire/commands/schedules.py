"""Commands of recurring jobs."""

from __future__ import annotations

from msgspec import Raw

from hubqueue.wire.commands.base import Command
from hubqueue.wire.fields import ABSENT, Count, JobName, Priority


class Cron(Command, tag="Cron", gc=False, kw_only=True):
    """Put a schedule: a job every `repeatEvery`. `maxLimit` runs at most."""

    name: str
    queue: str
    job_name: JobName | None = None
    data: Raw = ABSENT
    schedule: str | None = None
    repeat_every: Count | None = None
    priority: Priority = 0
    max_limit: Count | None = None
    timezone: str | None = None


class CronDelete(Command, tag="CronDelete", gc=False, kw_only=True):
    """Take a schedule away."""

    name: str
