"""Commands that only read. Their verbs run in the group, so they see what was accepted before them."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, Raw

from hubqueue.commands.call import Call
from hubqueue.commands.command import FILTERED, READ, READ_OR_WORK, Command, Touched, command, its_job, its_queue
from hubqueue.commands.listing import list_page
from hubqueue.errors import NotFound, WrongState
from hubqueue.hub.hub import Hub
from hubqueue.hub.verbs import explore, leased, priorities, query
from hubqueue.model.access import Scope
from hubqueue.model.job import Job
from hubqueue.model.state import LABELS, TERMINAL, State, shown
from hubqueue.model.verbs import Counts
from hubqueue.wire.fields import Count, Tags, Whole, number
from hubqueue.wire.jobmap import queried_job


def _custom_id(command: GetJobByCustomId) -> Touched:
    return Touched(jobs=(command.custom_id,))


@command(READ_OR_WORK, its_job, weight=128 * 1024)
class GetJob(Command):
    """One job with its state, result and last error."""

    id: str

    def handle(self, call: Call) -> None:
        call.run(lambda tx: query.get(tx, self.id), lambda job: {"job": queried_job(job)})


@command(READ, _custom_id, weight=128 * 1024)
class GetJobByCustomId(Command):
    """The waiting or active job with this custom id."""

    custom_id: str

    def handle(self, call: Call) -> None:
        def verb(tx: Any) -> Job:
            job = query.get(tx, self.custom_id)
            if job.custom_id is None or job.state in TERMINAL:
                raise NotFound("Job not found")
            return job

        def shape(job: Job) -> dict[str, Any]:
            found = queried_job(job)
            found.state = UNSET
            return {"job": found}

        call.run(verb, shape)


@command((*READ_OR_WORK, Scope.PULL), its_job)  # workers ask whether what they did has arrived
class GetState(Command):
    """The state of a job, or "unknown"."""

    id: str

    def handle(self, call: Call) -> None:
        def shape(job: Job | None) -> dict[str, Any]:
            return {"id": self.id, "state": "unknown" if job is None else shown(State(job.state), job.priority)}

        call.run(lambda tx: query.find(tx, self.id), shape)


@command(READ, its_job, weight=128 * 1024)
class GetResult(Command):
    """The stored result of a completed job."""

    id: str

    def handle(self, call: Call) -> None:
        def shape(job: Job | None) -> dict[str, Any]:
            if job is None or job.state is not State.COMPLETED or job.result is None:
                return {"id": self.id}
            return {"id": self.id, "result": Raw(job.result)}

        call.run(lambda tx: query.find(tx, self.id), shape)


class LogLine(msgspec.Struct):
    """A line of a job's log."""

    timestamp: int
    level: str
    message: str


class Logs(msgspec.Struct):
    """Lines of a job's log; how many there are."""

    logs: list[LogLine]
    count: int


class ProgressShown(msgspec.Struct):
    """How far an active job is, 0 to 100."""

    progress: float
    message: str | None


@command(READ, its_job, answers=ProgressShown)
class GetProgress(Command):
    """How far an active job is."""

    id: str

    def handle(self, call: Call) -> None:
        def verb(tx: Any) -> Job:
            job = query.get(tx, self.id)
            if job.state is not State.ACTIVE:
                raise WrongState(f"Job is not active (current state: {LABELS[job.state]})")
            return job

        call.run(verb, lambda job: {"progress": job.progress, "message": job.history.progress_message})


@command(READ, its_queue, weight=4 * 1024 * 1024)
class GetJobs(Command):
    """Jobs of a queue, oldest first unless `asc` is false; paged by offset, or by our `cursor`."""

    queue: str
    state: str | list[str] | None = None
    offset: Whole = 0
    limit: Whole = 100
    asc: bool = True
    cursor: Count | None = None
    tags: Tags | None = None

    def handle(self, call: Call) -> None:
        words = [self.state] if isinstance(self.state, str) else self.state or []

        def verb(tx: Any) -> Any:
            queue, limit, cursor, offset, ascending = self.queue, self.limit, self.cursor, self.offset, self.asc
            if self.tags:
                return explore.tagged(
                    tx, queue, words, self.tags, limit=limit, after=cursor, offset=offset, ascending=ascending
                )
            return list_page(tx, queue, words, limit=limit, cursor=cursor, offset=offset, ascending=ascending)

        def shape(page: Any) -> dict[str, Any]:
            jobs = [queried_job(job) for job in page.jobs]
            for job in jobs if len(words) == 1 else ():
                job.state = words[0]
            return {"jobs": jobs, "cursor": None if page.cursor is None else float(page.cursor)}

        call.run(verb, shape)


@command(READ, its_queue)
class GetJobCounts(Command):
    """How many jobs of a queue are in which state."""

    queue: str

    def handle(self, call: Call) -> None:
        def shape(found: tuple[Counts, int]) -> dict[str, Any]:
            counts, expired = found
            return {"counts": counts_map(counts), "expired": number(expired)}

        call.run(lambda tx: (query.counts(tx, self.queue), query.expired(tx, self.queue)), shape)


@command(READ, its_queue)
class GetCountsPerPriority(Command):
    """How many queued jobs there are of each priority."""

    queue: str

    async def handle(self, call: Call) -> dict[str, Any]:
        return {"queue": self.queue, "counts": await counts_per_priority(call.session.context.hub, self.queue)}


@command(READ, its_queue)
class CountJobs(Command, tag="Count"):
    """How many jobs are queued."""

    queue: str

    def handle(self, call: Call) -> None:
        def shape(counts: Counts) -> dict[str, Any]:
            return {"count": counts.waiting + counts.prioritized + counts.delayed + counts.paused}

        call.run(lambda tx: query.counts(tx, self.queue), shape)


@command(READ, FILTERED)
class ListQueues(Command):
    """The names of all queues."""

    def handle(self, call: Call) -> None:
        call.run(query.queues, lambda infos: {"queues": [info.name for info in infos if call.sees(info.name)]})


@command(READ, its_job, answers=Logs)
class GetLogs(Command):
    """Log lines of a job; `start` and `end` (inclusive) cut them like a slice."""

    id: str
    start: Whole | None = None
    end: Whole | None = None

    def handle(self, call: Call) -> None:
        def shape(lines: Any) -> dict[str, Any]:
            end = None if self.end is None else self.end + 1  # `end` is inclusive
            shown_lines = [
                {"timestamp": float(line.at_ms), "level": line.level, "message": line.message}
                for line in lines[self.start : end]
            ]
            return {"data": {"logs": shown_lines, "count": len(lines)}}

        call.run(lambda tx: leased.read_logs(tx, self.id), shape)


@command(READ, its_queue)
class GetDeduplicationJobId(Command):
    """Which job holds a deduplication key."""

    queue: str
    deduplication_id: str

    def handle(self, call: Call) -> None:
        call.run(lambda tx: query.key_owner(tx, self.queue, self.deduplication_id), lambda id: {"data": {"jobId": id}})


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


async def counts_per_priority(hub: Hub, queue: str) -> dict[str, int]:
    """Queued jobs by priority, in two steps: each reads an index entry for many jobs."""
    counts = await hub.run(lambda tx: priorities.waiting(tx, queue))
    counts += await hub.run(lambda tx: priorities.delayed(tx, queue))
    return {str(priority): n for priority, n in sorted(counts.items())}
