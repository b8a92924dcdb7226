"""Handlers of the dead-letter commands: the failed jobs of a queue, with why and when they died."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from typing import Any, Final

from hubqueue.hub.verbs import hold, queues
from hubqueue.model.bounds import QueueBounds
from hubqueue.model.job import Attempt, Job
from hubqueue.model.state import State
from hubqueue.servers.door import Call, Handlers
from hubqueue.servers.queues import retry_one
from hubqueue.wire.commands import queues as wire
from hubqueue.wire.jobmap import failed_reason, job_map

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


async def dlq(call: Call, command: wire.Dlq) -> dict[str, Any]:
    bounds = call.session.door.hub.bounds(command.queue)
    found: list[Job] = []
    size = 0
    async for job in _matching(call, command.queue, command.filter, command.count):
        found.append(job)
        size += 2 * len(job.data or b"")  # in `jobs` and in `entries`
        if len(found) >= MAX_LISTED or size > MAX_LISTED_BYTES:
            break
    return {"jobs": [job_map(job) for job in found], "entries": [_entry(job, bounds) for job in found]}


async def _matching(call: Call, queue: str, filter: wire.DlqFilter | None, count: int | None) -> AsyncIterator[Job]:
    """Dead letters that match, oldest first, at most `count`."""
    filter = filter or wire.DlqFilter()
    limits = [limit for limit in (count, filter.limit) if limit is not None]
    left = max(0, min(limits)) if limits else None
    to_skip, cursor = filter.offset, None
    while left is None or left > 0:
        page = await call.session.door.hub.list_jobs(queue, (State.FAILED,), limit=STEP, cursor=cursor)
        for job in page.jobs:
            if not _matches(job, filter):
                continue
            if to_skip > 0:
                to_skip -= 1
                continue
            yield job
            if left is not None:
                left -= 1
                if left <= 0:
                    return
        cursor = page.cursor
        if cursor is None:
            return


def _matches(job: Job, filter: wire.DlqFilter) -> bool:
    entered = job.finished_at_ms or 0
    return (
        (filter.reason is None or _reason(job) == filter.reason)
        and (filter.older_than is None or entered <= filter.older_than)
        and (filter.newer_than is None or entered >= filter.newer_than)
        and not filter.retriable  # nothing is retried by itself, and nothing expired is still there
        and not filter.expired
    )


def _reason(job: Job) -> str:
    return job.history.reason or "unknown"


def _entry(job: Job, bounds: QueueBounds) -> dict[str, Any]:
    entered = float(job.finished_at_ms or 0)
    return {
        "job": job_map(job),
        "enteredAt": entered,
        "reason": _reason(job),
        "error": failed_reason(job.history),
        "attempts": [_attempt(run) for run in job.history.attempts],
        "retryCount": 0,
        "lastRetryAt": None,
        "nextRetryAt": None,
        "expiresAt": None if bounds.keep_dead_ms is None else entered + bounds.keep_dead_ms,
    }


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
    async for job in _matching(call, command.queue, None, None):
        reasons[_reason(job)] += 1
        times.append(job.finished_at_ms or 0)
    return {
        "data": {
            "stats": {
                "total": len(times),
                "byReason": dict(reasons),
                "byQueue": {command.queue: len(times)} if times else {},
                "pendingRetry": 0,
                "expired": 0,
                "oldestEntry": float(min(times)) if times else None,
                "newestEntry": float(max(times)) if times else None,
            }
        }
    }


async def retry_dlq(call: Call, command: wire.RetryDlq) -> dict[str, Any]:
    if command.filter is not None:
        ids = [job.id async for job in _matching(call, command.queue, command.filter, None)]
        return {"count": sum([await retry_one(call, command.queue, id, State.FAILED) for id in ids])}
    if command.job_id is not None:
        return {"count": int(await retry_one(call, command.queue, command.job_id, State.FAILED))}
    limit = None if command.count is None else max(0, command.count)
    return {"count": await call.session.door.hub.retry_dead(command.queue, limit=limit)}


async def purge_dlq(call: Call, command: wire.PurgeDlq) -> dict[str, Any]:
    return {"count": await call.session.door.hub.purge(command.queue)}


def remove_dlq_job(call: Call, command: wire.RemoveDlqJob) -> None:
    call.run(
        lambda tx: queues.remove_dead(tx, command.queue, command.job_id), lambda removed: {"data": {"removed": removed}}
    )


def get_dlq_config(call: Call, command: wire.GetDlqConfig) -> None:
    bounds = call.session.door.hub.bounds(command.queue)
    call.answer(
        {
            "config": {
                "autoRetry": False,
                "autoRetryInterval": 3_600_000,
                "maxAutoRetries": 0,
                "maxAge": bounds.keep_dead_ms,
                "maxEntries": bounds.max_dead,
            }
        }
    )


def get_stall_config(call: Call, command: wire.GetStallConfig) -> None:
    bounds = call.session.door.hub.bounds(command.queue)
    call.answer(
        {
            "config": {
                "enabled": True,
                "stallInterval": hold.DEFAULT_LEASE_MS,
                "maxStalls": bounds.max_stalls,
                "gracePeriod": 0,
            }
        }
    )


HANDLERS: Final[Handlers] = {
    wire.Dlq: dlq,
    wire.GetDlqStats: dlq_stats,
    wire.RetryDlq: retry_dlq,
    wire.PurgeDlq: purge_dlq,
    wire.RemoveDlqJob: remove_dlq_job,
    wire.GetDlqConfig: get_dlq_config,
    wire.GetStallConfig: get_stall_config,
}
