"""Commands of bunqueue's dashboard: the hub, its queues, or one of them at a glance."""

from __future__ import annotations

from typing import Any, Final

from hubqueue.commands.call import Call
from hubqueue.commands.command import FILTERED, READ, WHOLE_HUB, Command, command, its_queue
from hubqueue.commands.read import counts_map, counts_per_priority
from hubqueue.commands.schedules import shown_schedule
from hubqueue.commands.stats import memory_mb, sums
from hubqueue.hub.verbs import query, schedule
from hubqueue.model.job import Job
from hubqueue.model.state import State
from hubqueue.model.verbs import Counts, QueueInfo
from hubqueue.wire.fields import Count, number
from hubqueue.wire.jobmap import job_map

MAX_JOBS: Final = 50
MAX_DEAD: Final = 10
NO_TIMES: Final = {"p50": 0.0, "p95": 0.0, "p99": 0.0}  # not measured: it would cost every command
LISTED: Final = ("waiting", "active", "delayed", "paused")


@command(READ, WHOLE_HUB)
class DashboardOverview(Command):
    """The whole hub at a glance."""

    def handle(self, call: Call) -> None:
        context = call.session.context

        def verb(tx: Any) -> Any:
            return query.queues(tx), schedule.every(tx)

        def shape(found: Any) -> dict[str, Any]:
            infos, schedules = found
            pushed, pulled, completed, failed = context.hub.metrics.totals
            rates = context.hub.metrics.rates(context.hub.now_ms())
            total = sums(context, infos)
            workers = context.workers.shown()
            used_mb = memory_mb()
            return {
                "data": {
                    "stats": {name: total[name] for name in ("waiting", "active", "delayed", "completed", "dlq")}
                    | {"totalPushed": pushed, "totalPulled": pulled, "totalCompleted": completed, "totalFailed": failed}
                    | {"uptime": total["uptime"]},
                    "throughput": dict(
                        zip(("pushPerSec", "pullPerSec", "completePerSec", "failPerSec"), rates, strict=True)
                    ),
                    "latency": {
                        "averages": {"pushMs": 0.0, "pullMs": 0.0, "ackMs": 0.0},
                        "percentiles": {"push": NO_TIMES, "pull": NO_TIMES, "ack": NO_TIMES},
                    },
                    "memory": {"heapUsed": used_mb, "heapTotal": used_mb, "rss": used_mb},
                    "collections": {
                        "jobIndex": sum(sum(_numbers(info.counts)) for info in infos),
                        "queues": len(infos),
                    },
                    "workers": {
                        "total": len(workers),
                        "active": sum(worker["status"] == "active" for worker in workers),
                        "list": workers,
                    },
                    "crons": [shown_schedule(each) for each in schedules],
                    "storage": {"diskFull": context.hub.disk_full, "error": None, "since": None},
                    "timestamp": float(context.hub.now_ms()),
                }
            }

        call.run(verb, shape)


@command(READ, FILTERED)
class DashboardQueues(Command):
    """All queues at a glance."""

    def handle(self, call: Call) -> None:
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
            return {"data": {"queues": shown, "timestamp": float(call.session.context.hub.now_ms())}}

        call.run(query.queues, shape)


@command(READ, its_queue)
class DashboardQueue(Command):
    """One queue at a glance; with `includeJobs` its first jobs too."""

    queue: str
    include_jobs: bool = False
    jobs_limit: Count = 10

    async def handle(self, call: Call) -> dict[str, Any]:
        hub, queue = call.session.context.hub, self.queue
        limit = min(self.jobs_limit, MAX_JOBS)
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
            if self.include_jobs:
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


def _numbers(counts: Counts) -> tuple[int, ...]:
    return tuple(counts_map(counts).values())
