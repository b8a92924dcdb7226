"""Handlers for those who watch a hub: totals, minutes, dashboards."""

from __future__ import annotations

from pathlib import Path
from resource import getpagesize
from typing import Any, Final

from hubqueue.errors import Invalid
from hubqueue.hub.metrics import Series
from hubqueue.hub.verbs import query, schedule
from hubqueue.model.job import Job
from hubqueue.model.limits import check_queue
from hubqueue.model.state import State
from hubqueue.model.verbs import Counts, QueueInfo
from hubqueue.servers.door import Call, Door, Handlers
from hubqueue.servers.query import counts_map, counts_per_priority
from hubqueue.servers.schedules import shown_schedule
from hubqueue.wire.commands import monitor as wire
from hubqueue.wire.commands.session import Stats
from hubqueue.wire.fields import number
from hubqueue.wire.jobmap import job_map

MB: Final = 1_000_000
MAX_JOBS: Final = 50
MAX_DEAD: Final = 10
STATM: Final = Path("/proc/self/statm")
NO_TIMES: Final = {"p50": 0.0, "p95": 0.0, "p99": 0.0}  # not measured: it would cost every command
LISTED: Final = ("waiting", "active", "delayed", "paused")
TYPES: Final = ("completed", "failed")


def stats(call: Call, command: Stats) -> None:
    call.run(query.queues, lambda infos: {"stats": _stats(call.session.door, infos)})


def metrics(call: Call, command: wire.Metrics) -> None:
    hub = call.session.door.hub
    if command.queue is None and command.type is None:
        pushed, pulled, completed, failed = hub.metrics.totals
        call.answer(
            {
                "metrics": {
                    "totalPushed": pushed,
                    "totalPulled": pulled,
                    "totalCompleted": completed,
                    "totalFailed": failed,
                    "avgLatencyMs": 0.0,
                    "avgProcessingMs": 0.0,
                    "memoryUsageMb": _memory_mb(),
                    "sqliteSizeMb": hub.used_bytes / MB,
                    "activeConnections": 0,
                }
            }
        )
        return
    if command.queue is None:
        raise Invalid("Metrics queue is required")
    queue, start, end = check_queue(command.queue), command.start, command.end
    if command.type not in TYPES:
        raise Invalid("Metrics type must be 'completed' or 'failed'")
    if start < 0:
        raise Invalid("start must be a non-negative safe integer")
    of = hub.metrics.completed_of if command.type == "completed" else hub.metrics.failed_of

    def shape(series: Series) -> dict[str, Any]:
        points = series.counts[start:] if end == -1 else series.counts[start : end + 1 or None]
        meta = {"count": series.total, "prevTS": float(series.newest_ms), "prevCount": series.newest}
        return {"data": {"meta": meta, "data": points, "count": len(series.counts)}}

    call.run(lambda tx: of(tx, queue), shape)


def trim_events(call: Call, command: wire.TrimEvents) -> None:
    check_queue(command.queue)
    if command.max_length < 0:
        raise Invalid("maxLength must be a non-negative safe integer")
    call.answer({"data": {"removed": 0}})


def overview(call: Call, command: wire.DashboardOverview) -> None:
    door = call.session.door

    def verb(tx: Any) -> Any:
        return query.queues(tx), schedule.every(tx)

    def shape(found: Any) -> dict[str, Any]:
        infos, schedules = found
        pushed, pulled, completed, failed = door.hub.metrics.totals
        rates = door.hub.metrics.rates(door.hub.now_ms())
        sums = _stats(door, infos)
        workers = door.workers.shown()
        memory_mb = _memory_mb()
        return {
            "data": {
                "stats": {name: sums[name] for name in ("waiting", "active", "delayed", "completed", "dlq")}
                | {"totalPushed": pushed, "totalPulled": pulled, "totalCompleted": completed, "totalFailed": failed}
                | {"uptime": sums["uptime"]},
                "throughput": dict(
                    zip(("pushPerSec", "pullPerSec", "completePerSec", "failPerSec"), rates, strict=True)
                ),
                "latency": {
                    "averages": {"pushMs": 0.0, "pullMs": 0.0, "ackMs": 0.0},
                    "percentiles": {"push": NO_TIMES, "pull": NO_TIMES, "ack": NO_TIMES},
                },
                "memory": {"heapUsed": memory_mb, "heapTotal": memory_mb, "rss": memory_mb},
                "collections": {"jobIndex": sum(sum(_numbers(info.counts)) for info in infos), "queues": len(infos)},
                "workers": {
                    "total": len(workers),
                    "active": sum(worker["status"] == "active" for worker in workers),
                    "list": workers,
                },
                "crons": [shown_schedule(each) for each in schedules],
                "storage": {"diskFull": door.hub.disk_full, "error": None, "since": None},
                "timestamp": float(door.hub.now_ms()),
            }
        }

    call.run(verb, shape)


def all_queues(call: Call, command: wire.DashboardQueues) -> None:
    def shape(infos: list[QueueInfo]) -> dict[str, Any]:
        shown = [
            {
                "name": info.name,
                "waiting": info.counts.waiting,
                "prioritized": info.counts.prioritized,
                "delayed": info.counts.delayed,
                "active": info.counts.active,
                "dlq": info.counts.failed,
                "expired": number(info.expired),
                "paused": info.paused,
            }
            for info in infos
            if call.sees(info.name)
        ]
        return {"data": {"queues": shown, "timestamp": float(call.session.door.hub.now_ms())}}

    call.run(query.queues, shape)


async def one_queue(call: Call, command: wire.DashboardQueue) -> dict[str, Any]:
    hub, queue = call.session.door.hub, command.queue
    limit = min(command.jobs_limit, MAX_JOBS)
    priorities = await counts_per_priority(hub, queue)

    def verb(tx: Any) -> dict[str, Any]:
        counts = query.counts(tx, queue)
        dead = query.list_jobs(tx, queue, (State.FAILED,), limit=MAX_DEAD).jobs
        data: dict[str, Any] = {
            "name": queue,
            "counts": counts_map(counts)
            | {
                "totalCompleted": hub.metrics.completed_of(tx, queue).total,
                "totalFailed": hub.metrics.failed_of(tx, queue).total,
            },
            "paused": query.is_paused(tx, queue),
            "priorityCounts": priorities,
            "dlqPreview": [_dead(job) for job in dead],
            "timestamp": float(hub.now_ms()),
        }
        if command.include_jobs:
            data["jobs"] = _first_jobs(tx, queue, limit, paused=data["paused"])
        return data

    return {"data": await hub.run(verb)}


def _first_jobs(tx: Any, queue: str, limit: int, *, paused: bool) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in LISTED}
    ready = "paused" if paused else "waiting"
    for name, state in ((ready, State.WAITING), ("active", State.ACTIVE), ("delayed", State.DELAYED)):
        found[name] = [_job(job) for job in query.list_jobs(tx, queue, (state,), limit=limit).jobs]
    return found


def _job(job: Job) -> dict[str, Any]:
    return {
        "id": job.id,
        "priority": job.priority,
        "createdAt": float(job.created_at_ms),
        "runAt": float(job.run_at_ms),
        "attempts": job.attempts,
        "progress": job.progress,
    }


def _dead(job: Job) -> dict[str, Any]:
    shown = {"id": job.id, "attempts": job.attempts, "createdAt": float(job.created_at_ms)}
    return shown if job.data is None else {**shown, "data": job_map(job).data}


def _stats(door: Door, infos: list[QueueInfo]) -> dict[str, Any]:
    counts = [info.counts for info in infos]
    _, _, _, failed = door.hub.metrics.totals
    push_rate, pull_rate, _, _ = door.hub.metrics.rates(door.hub.now_ms())
    return {
        "waiting": sum(each.waiting + each.paused for each in counts),
        "prioritized": sum(each.prioritized for each in counts),
        "active": sum(each.active for each in counts),
        "delayed": sum(each.delayed for each in counts),
        "dlq": sum(each.failed for each in counts),
        "completed": sum(each.completed for each in counts),
        "failed": failed,
        "uptime": float(door.uptime_ms()),
        "pushPerSec": push_rate,
        "pullPerSec": pull_rate,
    }


def _numbers(counts: Counts) -> tuple[int, ...]:
    return tuple(counts_map(counts).values())


def _memory_mb() -> float:
    """Resident memory of this process."""
    try:
        return int(STATM.read_text().split()[1]) * getpagesize() / MB
    except OSError:
        return 0.0


HANDLERS: Final[Handlers] = {
    Stats: stats,
    wire.Metrics: metrics,
    wire.TrimEvents: trim_events,
    wire.DashboardOverview: overview,
    wire.DashboardQueues: all_queues,
    wire.DashboardQueue: one_queue,
}
