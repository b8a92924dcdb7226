"""Commands that only read."""

from __future__ import annotations

from hubqueue.wire.commands.base import Command
from hubqueue.wire.fields import Count, WaitJobMs, Whole


class GetJob(Command, tag="GetJob", gc=False, kw_only=True):
    """One job with its state, result and last error."""

    id: str


class GetJobByCustomId(Command, tag="GetJobByCustomId", gc=False, kw_only=True):
    """The waiting or active job with this custom id."""

    custom_id: str


class GetState(Command, tag="GetState", gc=False, kw_only=True):
    """The state of a job, or "unknown"."""

    id: str


class GetResult(Command, tag="GetResult", gc=False, kw_only=True):
    """The stored result of a completed job."""

    id: str


class GetProgress(Command, tag="GetProgress", gc=False, kw_only=True):
    """How far an active job is."""

    id: str


class GetJobs(Command, tag="GetJobs", gc=False, kw_only=True):
    """Jobs of a queue, oldest first unless `asc` is false; paged by offset, or by our `cursor`."""

    queue: str
    state: str | list[str] | None = None
    offset: Whole = 0
    limit: Whole = 100
    asc: bool = True
    cursor: Count | None = None


class GetJobCounts(Command, tag="GetJobCounts", gc=False, kw_only=True):
    """How many jobs of a queue are in which state."""

    queue: str


class GetCountsPerPriority(Command, tag="GetCountsPerPriority", gc=False, kw_only=True):
    """How many queued jobs there are of each priority."""

    queue: str


class CountJobs(Command, tag="Count", gc=False, kw_only=True):
    """How many jobs are queued."""

    queue: str


class WaitJob(Command, tag="WaitJob", gc=False, kw_only=True):
    """Wait until a job has ended."""

    id: str
    timeout: WaitJobMs = 30_000


class ListQueues(Command, tag="ListQueues", gc=False, kw_only=True):
    """The names of all queues."""


class GetLogs(Command, tag="GetLogs", gc=False, kw_only=True):
    """Log lines of a job; `start` and `end` (inclusive) cut them like a slice."""

    id: str
    start: Whole | None = None
    end: Whole | None = None


class GetDeduplicationJobId(Command, tag="GetDeduplicationJobId", gc=False, kw_only=True):
    """Which job holds a deduplication key."""

    queue: str
    deduplication_id: str
