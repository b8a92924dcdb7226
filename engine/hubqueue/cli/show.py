"""Jobs, counts and events as JSON values and as one-line texts. User data is shown as far as it can be."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from hubqueue.model.job import ENDLESS, Job
from hubqueue.model.state import shown
from hubqueue.model.verbs import Counts, Event, QueueInfo
from hubqueue.wire.jsondata import readable


def one_line(data: bytes | None, width: int = 60) -> str:
    """The data as short text for a table cell."""
    if data is None:
        return "-"
    text = json.dumps(readable(data), ensure_ascii=False)
    return text if len(text) <= width else text[: width - 1] + "…"


def job_map(job: Job) -> dict[str, Any]:
    """A job as `--json` prints it: the words of the engine, times in Unix milliseconds, absent things left out."""
    entry: dict[str, Any] = {
        "id": job.id,
        "queue": job.queue,
        "name": job.name,
        "state": shown(job.state, job.priority),
        "data": readable(job.data),
        "priority": job.priority,
        "attempts": job.attempts,
        "max_attempts": None if job.max_attempts == ENDLESS else job.max_attempts,
        "created_at_ms": job.created_at_ms,
        "run_at_ms": job.run_at_ms,
        "started_at_ms": job.started_at_ms,
        "finished_at_ms": job.finished_at_ms,
        "owner": job.owner,
        "deadline_ms": job.deadline_ms,
        "keep_trying_ms": job.options.keep_trying_ms,
        "ttl_ms": job.options.ttl_ms,
        "ends_at_ms": job.expires_at_ms,
        "progress": job.progress or None,
        "reason": job.history.reason,
        "error": job.history.error,
        "result": readable(job.result),
        "custom_id": job.custom_id,
        "tags": list(job.options.tags) or None,
        "stall_count": job.stall_count or None,
        "lost_count": job.lost_count or None,
        "history": [msgspec.to_builtins(attempt) for attempt in job.history.attempts] or None,
    }
    return {key: value for key, value in entry.items() if value is not None}


def counts_map(counts: Counts) -> dict[str, int]:
    entry: dict[str, int] = msgspec.to_builtins(counts)
    return entry


def queue_map(info: QueueInfo) -> dict[str, Any]:
    return {"name": info.name, "is_paused": info.paused, **counts_map(info.counts), "expired": info.expired}


def event_map(event: Event) -> dict[str, Any]:
    """An event as `tail --json` prints it."""
    entry: dict[str, Any] = msgspec.to_builtins(event, builtin_types=(bytes,))
    if event.data is not None:
        entry["data"] = readable(event.data)
    return entry
