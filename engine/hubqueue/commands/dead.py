"""Commands of dead letters: the failed jobs of a queue, with why and when they died."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from copy import copy
from typing import Any, Final, TypeVar

import msgspec

from hubqueue.commands.call import Call
from hubqueue.commands.command import ADMIN, READ, Changed, Command, command, its_queue
from hubqueue.commands.queues import retried, retry_one
from hubqueue.errors import Invalid
from hubqueue.hub.verbs import change, configure, query, queues
from hubqueue.model.errortext import pattern
from hubqueue.model.job import Attempt, Job, failed_reason
from hubqueue.model.limits import check_queue
from hubqueue.model.queue_settings import DlqSettings
from hubqueue.model.state import State
from hubqueue.model.verbs import Retried
from hubqueue.wire.fields import Count, Tags, TimeMs, Whole
from hubqueue.wire.jobmap import job_map

STEP: Final = 200  # dead letters read in one transaction
MAX_LISTED: Final = 10_000
MAX_LISTED_BYTES: Final = 24 * 1024 * 1024  # of data; the reply must fit into a frame
# reasons that the protocol counts even when there are none; ours may come besides
REASONS: Final = (
    "explicit_fail",
    "max_attempts_exceeded",
    "timeout",
    "stalled",
    "ttl_expired",
    "worker_lost",
    "unknown",
)
R = TypeVar("R", int, Retried)


class DlqFilter(msgspec.Struct, rename="camel", gc=False, kw_only=True):
    """Which dead letters; times are when they died.

    error (ours): what they died of, as DeadReasons groups it. tags (ours): they carry all of these.
    """

    reason: str | None = None
    error: str | None = None
    tags: Tags | None = None
    older_than: TimeMs | None = None
    newer_than: TimeMs | None = None
    retriable: bool | None = None
    expired: bool | None = None
    offset: Count = 0
    limit: Count | None = None


@command(READ, its_queue)
class Dlq(Command):
    """The dead letters of a queue, oldest first."""

    queue: str
    count: Whole | None = None
    filter: DlqFilter | None = None

    async def handle(self, call: Call) -> dict[str, Any]:
        keep_ms = call.session.context.hub.bounds(self.queue).keep_dead_ms
        found: list[Job] = []
        size = 0
        async for job in _matching(call, self.queue, self.filter, self.count):
            found.append(job)
            size += 2 * len(job.data or b"")  # in `jobs` and in `entries`
            if len(found) >= MAX_LISTED or size > MAX_LISTED_BYTES:
                break
        return {"jobs": [job_map(job) for job in found], "entries": [_entry(job, keep_ms) for job in found]}


@command(READ, its_queue)
class GetDlqStats(Command):
    """How many dead letters there are, and why."""

    queue: str

    async def handle(self, call: Call) -> dict[str, Any]:
        reasons = Counter(dict.fromkeys(REASONS, 0))
        times: list[int] = []
        pending = 0
        async for job in _matching(call, self.queue, None, None):
            reasons[_reason(job)] += 1
            times.append(job.finished_at_ms or 0)
            pending += job.history.retry_at_ms is not None
        return {
            "data": {
                "stats": {
                    "total": len(times),
                    "byReason": dict(reasons),
                    "byQueue": {self.queue: len(times)} if times else {},
                    "pendingRetry": pending,
                    "expired": 0,
                    "oldestEntry": float(min(times)) if times else None,
                    "newestEntry": float(max(times)) if times else None,
                }
            }
        }


@command(ADMIN, its_queue)
class RetryDlq(Command):
    """Run dead letters again: one, those of a filter, or all; the oldest `count` of them."""

    queue: str
    job_id: str | None = None
    count: Whole | None = None
    filter: DlqFilter | None = None

    async def handle(self, call: Call) -> dict[str, Any]:
        queue = self.queue
        if self.filter is not None:
            if self.job_id is not None:
                raise Invalid("jobId and filter exclude each other", hint="name one job, or say which ones")
            act = lambda tx, job: change.retry(tx, job.id)  # noqa: E731
            return retried(await _do(call, queue, self.filter, self.count, act, Retried()))
        if self.job_id is not None:
            return retried(await retry_one(call, queue, self.job_id, State.FAILED))
        limit = None if self.count is None else max(0, self.count)
        return retried(await call.session.context.hub.long_work.retry_all(queue, State.FAILED, limit=limit))


@command(ADMIN, its_queue, answers=Changed)
class PurgeDlq(Command):
    """Delete the dead letters of a queue: those of a filter, or all."""

    queue: str
    filter: DlqFilter | None = None

    async def handle(self, call: Call) -> dict[str, Any]:
        queue = self.queue
        if self.filter is None:
            return {"count": await call.session.context.hub.long_work.purge(queue)}
        removed = await _do(
            call, queue, self.filter, None, lambda tx, job: int(queues.remove_dead(tx, queue, job.id)), 0
        )
        return {"count": removed}


@command(ADMIN, its_queue)
class RemoveDlqJob(Command):
    """Delete one dead letter."""

    queue: str
    job_id: str

    def handle(self, call: Call) -> None:
        call.run(
            lambda tx: queues.remove_dead(tx, self.queue, self.job_id), lambda removed: {"data": {"removed": removed}}
        )


@command(ADMIN, its_queue)
class SetDlqConfig(Command):
    """Bound the dead letters of a queue, and let them be tried again by themselves."""

    queue: str
    config: dict[str, Any]

    def handle(self, call: Call) -> None:
        queue = check_queue(self.queue)
        call.run(lambda tx: configure.set_dlq_config(tx, queue, self.config))


@command(READ, its_queue)
class GetDlqConfig(Command):
    """The bounds of a queue's dead letters."""

    queue: str

    def handle(self, call: Call) -> None:
        def shape(found: DlqSettings) -> dict[str, Any]:
            return {
                "config": {
                    "autoRetry": found.auto_retry,
                    "autoRetryInterval": float(found.retry_every_ms),
                    "maxAutoRetries": found.max_retries,
                    "maxAge": None if found.keep_ms is None else float(found.keep_ms),
                    "maxEntries": found.max_dead,
                }
            }

        call.run(lambda tx: configure.dlq_config(tx, self.queue), shape)


async def _matching(call: Call, queue: str, filter: DlqFilter | None, count: int | None) -> AsyncIterator[Job]:
    """Dead letters that match, oldest first, at most `count`."""
    hub, wanted = call.session.context.hub, _Wanted(filter or DlqFilter(), count)
    cursor = None
    while not wanted.satisfied:
        page = await hub.list_jobs(queue, (State.FAILED,), limit=STEP, cursor=cursor)
        for job in wanted.of(page.jobs):
            yield job
        cursor = page.cursor
        if cursor is None:
            return


async def _do(
    call: Call, queue: str, filter: DlqFilter, count: int | None, act: Callable[[Any, Job], R], nothing: R
) -> R:
    """Do something to the dead letters that match and are there now, each step in one transaction; all it came to."""
    hub, wanted = call.session.context.hub, _Wanted(filter, count)
    until_ms, cursor, done = hub.now_ms(), None, nothing

    def step(tx: Any) -> tuple[int | None, R, _Wanted]:
        page = query.light_page(tx, queue, State.FAILED, STEP, cursor)
        there = [job for job in page.jobs if (job.finished_at_ms or 0) <= until_ms]
        came_to, still = done, copy(wanted)  # it may run twice
        for job in still.of(there):
            came_to += act(tx, job)
        return page.cursor, came_to, still

    while not wanted.satisfied:
        cursor, done, wanted = await hub.run(step)
        if cursor is None:
            break
    return done


class _Wanted:
    """A filter with its offset and limit, over pages."""

    def __init__(self, filter: DlqFilter, count: int | None) -> None:
        limits = [limit for limit in (count, filter.limit) if limit is not None]
        self._filter = filter
        self._left = max(0, min(limits)) if limits else None
        self._to_skip = filter.offset
        self._pattern = None if filter.error is None else pattern(filter.error)

    @property
    def satisfied(self) -> bool:
        return self._left == 0

    def of(self, jobs: Sequence[Job]) -> Iterator[Job]:
        """Those of a page that belong."""
        for job in jobs:
            if self.satisfied:
                return
            if not _matches(job, self._filter):
                continue
            if self._pattern is not None and pattern(failed_reason(job.history)) != self._pattern:
                continue
            if self._to_skip > 0:
                self._to_skip -= 1
                continue
            if self._left is not None:
                self._left -= 1
            yield job


def _matches(job: Job, filter: DlqFilter) -> bool:
    entered = job.finished_at_ms or 0
    return (
        (filter.reason is None or _reason(job) == filter.reason)
        and (not filter.tags or set(filter.tags).issubset(job.options.tags))
        and (filter.older_than is None or entered <= filter.older_than)
        and (filter.newer_than is None or entered >= filter.newer_than)
        and (filter.retriable is None or filter.retriable is (job.history.retry_at_ms is not None))
        and not filter.expired  # nothing expired is still there
    )


def _reason(job: Job) -> str:
    return job.history.reason or "unknown"


def _entry(job: Job, keep_ms: int | None) -> dict[str, Any]:
    entered, history = float(job.finished_at_ms or 0), job.history
    return {
        "job": job_map(job),
        "enteredAt": entered,
        "reason": _reason(job),
        "error": failed_reason(history),
        "attempts": [_attempt(run) for run in history.attempts],
        "retryCount": history.retries,
        "lastRetryAt": _time(history.retried_at_ms),
        "nextRetryAt": _time(history.retry_at_ms),
        "expiresAt": None if keep_ms is None else entered + keep_ms,
    }


def _time(at_ms: int | None) -> float | None:
    return None if at_ms is None else float(at_ms)


def _attempt(run: Attempt) -> dict[str, Any]:
    return {
        "attempt": run.attempt,
        "startedAt": float(run.started_at_ms),
        "failedAt": float(run.failed_at_ms),
        "reason": run.reason,
        "error": run.error,
        "duration": float(run.failed_at_ms - run.started_at_ms),
    }
