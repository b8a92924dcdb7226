"""Handlers of commands that only read. Their verbs run in the group, so they see what was accepted before them."""

from __future__ import annotations

from typing import Any, Final

from msgspec import UNSET, Raw

from hubqueue.errors import NotFound, WrongState
from hubqueue.hub.hub import Hub
from hubqueue.hub.verbs import leased, priorities, query
from hubqueue.model.job import Job
from hubqueue.model.state import LABELS, TERMINAL, State, shown
from hubqueue.model.verbs import Counts
from hubqueue.servers.door import Call, Handlers
from hubqueue.servers.listing import list_page
from hubqueue.servers.waiting import wait_for_job
from hubqueue.wire.commands import query as wire
from hubqueue.wire.fields import number
from hubqueue.wire.jobmap import queried_job


def get_job(call: Call, command: wire.GetJob) -> None:
    call.run(lambda tx: query.get(tx, command.id), lambda job: {"job": queried_job(job)})


def get_job_by_custom_id(call: Call, command: wire.GetJobByCustomId) -> None:
    def verb(tx: Any) -> Job:
        job = query.get(tx, command.custom_id)
        if job.custom_id is None or job.state in TERMINAL:
            raise NotFound("Job not found")
        return job

    def shape(job: Job) -> dict[str, Any]:
        found = queried_job(job)
        found.state = UNSET
        return {"job": found}

    call.run(verb, shape)


def get_state(call: Call, command: wire.GetState) -> None:
    def shape(job: Job | None) -> dict[str, Any]:
        return {"id": command.id, "state": "unknown" if job is None else shown(State(job.state), job.priority)}

    call.run(lambda tx: query.find(tx, command.id), shape)


def get_result(call: Call, command: wire.GetResult) -> None:
    def shape(job: Job | None) -> dict[str, Any]:
        if job is None or job.state is not State.COMPLETED or job.result is None:
            return {"id": command.id}
        return {"id": command.id, "result": Raw(job.result)}

    call.run(lambda tx: query.find(tx, command.id), shape)


def get_progress(call: Call, command: wire.GetProgress) -> None:
    def verb(tx: Any) -> Job:
        job = query.get(tx, command.id)
        if job.state is not State.ACTIVE:
            raise WrongState(f"Job is not active (current state: {LABELS[job.state]})")
        return job

    call.run(verb, lambda job: {"progress": job.progress, "message": job.history.progress_message})


def get_jobs(call: Call, command: wire.GetJobs) -> None:
    words = [command.state] if isinstance(command.state, str) else command.state or []

    def verb(tx: Any) -> Any:
        return list_page(
            tx,
            command.queue,
            words,
            limit=command.limit,
            cursor=command.cursor,
            offset=command.offset,
            ascending=command.asc,
        )

    def shape(page: Any) -> dict[str, Any]:
        jobs = [queried_job(job) for job in page.jobs]
        for job in jobs if len(words) == 1 else ():
            job.state = words[0]
        return {"jobs": jobs, "cursor": None if page.cursor is None else float(page.cursor)}

    call.run(verb, shape)


def get_job_counts(call: Call, command: wire.GetJobCounts) -> None:
    def shape(found: tuple[Counts, int]) -> dict[str, Any]:
        counts, expired = found
        return {"counts": counts_map(counts), "expired": number(expired)}

    call.run(lambda tx: (query.counts(tx, command.queue), query.expired(tx, command.queue)), shape)


def counts_map(counts: Counts) -> dict[str, int]:
    """Counts under the protocol's names of states."""
    return {
        "waiting": counts.waiting,
        "prioritized": counts.prioritized,
        "delayed": counts.delayed,
        "active": counts.active,
        "completed": counts.completed,
        "failed": counts.failed,
        "waiting-children": counts.waiting_children,
        "paused": counts.paused,
    }


async def get_counts_per_priority(call: Call, command: wire.GetCountsPerPriority) -> dict[str, Any]:
    return {"queue": command.queue, "counts": await counts_per_priority(call.session.door.hub, command.queue)}


async def counts_per_priority(hub: Hub, queue: str) -> dict[str, int]:
    """Queued jobs by priority, in two steps: each reads an index entry for many jobs."""
    counts = await hub.run(lambda tx: priorities.waiting(tx, queue))
    counts += await hub.run(lambda tx: priorities.delayed(tx, queue))
    return {str(priority): n for priority, n in sorted(counts.items())}


def count(call: Call, command: wire.CountJobs) -> None:
    def shape(counts: Counts) -> dict[str, Any]:
        return {"count": counts.waiting + counts.prioritized + counts.delayed + counts.paused}

    call.run(lambda tx: query.counts(tx, command.queue), shape)


def list_queues(call: Call, command: wire.ListQueues) -> None:
    call.run(query.queues, lambda infos: {"queues": [info.name for info in infos if call.sees(info.name)]})


def get_logs(call: Call, command: wire.GetLogs) -> None:
    def shape(lines: Any) -> dict[str, Any]:
        end = None if command.end is None else command.end + 1  # `end` is inclusive
        shown_lines = [
            {"timestamp": float(line.at_ms), "level": line.level, "message": line.message}
            for line in lines[command.start : end]
        ]
        return {"data": {"logs": shown_lines, "count": len(lines)}}

    call.run(lambda tx: leased.read_logs(tx, command.id), shape)


def get_deduplication_job_id(call: Call, command: wire.GetDeduplicationJobId) -> None:
    call.run(
        lambda tx: query.key_owner(tx, command.queue, command.deduplication_id), lambda id: {"data": {"jobId": id}}
    )


HANDLERS: Final[Handlers] = {
    wire.GetJob: get_job,
    wire.GetJobByCustomId: get_job_by_custom_id,
    wire.GetState: get_state,
    wire.GetResult: get_result,
    wire.GetProgress: get_progress,
    wire.GetJobs: get_jobs,
    wire.GetJobCounts: get_job_counts,
    wire.GetCountsPerPriority: get_counts_per_priority,
    wire.CountJobs: count,
    wire.WaitJob: wait_for_job,
    wire.ListQueues: list_queues,
    wire.GetLogs: get_logs,
    wire.GetDeduplicationJobId: get_deduplication_job_id,
}
