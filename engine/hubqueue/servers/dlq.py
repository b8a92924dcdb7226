"""Handlers of the dead-letter commands: the failed jobs of a queue, with why and when they died."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any, Final, TypeVar

from hubqueue.hub.verbs import change, configure, query, queues
from hubqueue.model.errortext import pattern
from hubqueue.model.job import Attempt, Job, failed_reason
from hubqueue.model.limits import check_queue
from hubqueue.model.queue_settings import DlqSettings, StallSettings
from hubqueue.model.state import State
from hubqueue.model.verbs import Retried
from hubqueue.servers.door import Call, Handlers
from hubqueue.servers.queues import retried, retry_one
from hubqueue.wire.commands import queues as wire
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


async def dlq(call: Call, command: wire.Dlq) -> dict[str, Any]:
    keep_ms = call.session.door.hub.bounds(command.queue).keep_dead_ms
    found: list[Job] = []
    size = 0
    async for job in _matching(call, command.queue, command.filter, command.count):
        found.append(job)
        size += 2 * len(job.data or b"")  # in `jobs` and in `entries`
        if len(found) >= MAX_LISTED or size > MAX_LISTED_BYTES:
            break
    return {"jobs": [job_map(job) for job in found], "entries": [_entry(job, keep_ms) for job in found]}


async def _matching(call: Call, queue: str, filter: wire.DlqFilter | None, count: int | None) -> AsyncIterator[Job]:
    """Dead letters that match, oldest first, at most `count`."""
    hub, wanted = call.session.door.hub, _Wanted(filter or wire.DlqFilter(), count)
    cursor = None
    while not wanted.satisfied:
        page = await hub.list_jobs(queue, (State.FAILED,), limit=STEP, cursor=cursor)
        for job in wanted.of(page.jobs):
            yield job
        cursor = page.cursor
        if cursor is None:
            return


async def _do(
    call: Call, queue: str, filter: wire.DlqFilter, count: int | None, act: Callable[[Any, Job], R], nothing: R
) -> R:
    """Do something to the dead letters that match and are there now, each step in one transaction; all it came to."""
    hub, wanted = call.session.door.hub, _Wanted(filter, count)
    until_ms, cursor, done = hub.now_ms(), None, nothing

    def step(tx: Any) -> int | None:
        nonlocal done
        page = query.light_page(tx, queue, State.FAILED, STEP, cursor)
        there = [job for job in page.jobs if (job.finished_at_ms or 0) <= until_ms]
        for job in wanted.of(there):
            done += act(tx, job)
        return page.cursor

    while not wanted.satisfied:
        cursor = await hub.run(step)
        if cursor is None:
            break
    return done


class _Wanted:
    """A filter with its offset and limit, over pages."""

    def __init__(self, filter: wire.DlqFilter, count: int | None) -> None:
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


def _matches(job: Job, filter: wire.DlqFilter) -> bool:
    entered = job.finished_at_ms or 0
    return (
        (filter.reason is None or _reason(job) == filter.reason)
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


async def dlq_stats(call: Call, command: wire.GetDlqStats) -> dict[str, Any]:
    reasons = Counter(dict.fromkeys(REASONS, 0))
    times: list[int] = []
    pending = 0
    async for job in _matching(call, command.queue, None, None):
        reasons[_reason(job)] += 1
        times.append(job.finished_at_ms or 0)
        pending += job.history.retry_at_ms is not None
    return {
        "data": {
            "stats": {
                "total": len(times),
                "byReason": dict(reasons),
                "byQueue": {command.queue: len(times)} if times else {},
                "pendingRetry": pending,
                "expired": 0,
                "oldestEntry": float(min(times)) if times else None,
                "newestEntry": float(max(times)) if times else None,
            }
        }
    }


async def retry_dlq(call: Call, command: wire.RetryDlq) -> dict[str, Any]:
    queue = command.queue
    if command.filter is not None:
        act = lambda tx, job: change.retry(tx, job.id)  # noqa: E731
        return retried(await _do(call, queue, command.filter, command.count, act, Retried()))
    if command.job_id is not None:
        return retried(await retry_one(call, queue, command.job_id, State.FAILED))
    limit = None if command.count is None else max(0, command.count)
    return retried(await call.session.door.hub.retry_dead(queue, limit=limit))


async def purge_dlq(call: Call, command: wire.PurgeDlq) -> dict[str, Any]:
    queue = command.queue
    if command.filter is None:
        return {"count": await call.session.door.hub.purge(queue)}
    removed = await _do(
        call, queue, command.filter, None, lambda tx, job: int(queues.remove_dead(tx, queue, job.id)), 0
    )
    return {"count": removed}


def remove_dlq_job(call: Call, command: wire.RemoveDlqJob) -> None:
    call.run(
        lambda tx: queues.remove_dead(tx, command.queue, command.job_id), lambda removed: {"data": {"removed": removed}}
    )


def get_dlq_config(call: Call, command: wire.GetDlqConfig) -> None:
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

    call.run(lambda tx: configure.dlq_config(tx, command.queue), shape)


def get_stall_config(call: Call, command: wire.GetStallConfig) -> None:
    def shape(found: StallSettings) -> dict[str, Any]:
        return {
            "config": {
                "enabled": found.enabled,
                "stallInterval": float(found.interval_ms),
                "maxStalls": found.max_stalls,
                "gracePeriod": float(found.grace_ms),
            }
        }

    call.run(lambda tx: configure.stall_config(tx, command.queue), shape)


def set_dlq_config(call: Call, command: wire.SetDlqConfig) -> None:
    queue = check_queue(command.queue)
    call.run(lambda tx: configure.set_dlq_config(tx, queue, command.config))


def set_stall_config(call: Call, command: wire.SetStallConfig) -> None:
    queue = check_queue(command.queue)
    call.run(lambda tx: configure.set_stall_config(tx, queue, command.config))


HANDLERS: Final[Handlers] = {
    wire.Dlq: dlq,
    wire.GetDlqStats: dlq_stats,
    wire.RetryDlq: retry_dlq,
    wire.PurgeDlq: purge_dlq,
    wire.RemoveDlqJob: remove_dlq_job,
    wire.SetDlqConfig: set_dlq_config,
    wire.SetStallConfig: set_stall_config,
    wire.GetDlqConfig: get_dlq_config,
    wire.GetStallConfig: get_stall_config,
}
