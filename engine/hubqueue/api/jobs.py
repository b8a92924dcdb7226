"""Jobs as Python code holds them: the handle of one that was added, and the view of one that was read."""

from __future__ import annotations

import asyncio
from datetime import datetime
from functools import cached_property
from typing import Any

from hubqueue.api.units import Duration, Moment, duration_ms, moment, moment_ms
from hubqueue.client.hubclient import HubClient
from hubqueue.errors import JobFailed, TimedOut
from hubqueue.model import payload
from hubqueue.model.flowdata import claimed_queue
from hubqueue.model.job import Attempt, Dedup, Job, allowed_attempts
from hubqueue.model.limits import MAX_WAIT_MS
from hubqueue.model.state import State, shown


class JobView:
    """A job as it was when it was read. `job` is the model's own value."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def __repr__(self) -> str:
        return f"<job {self.id} {self.name} {self.state} of {self.queue}>"

    @property
    def id(self) -> str:
        return self.job.id

    @property
    def queue(self) -> str:
        return self.job.queue

    @property
    def name(self) -> str:
        return self.job.name

    @property
    def state(self) -> str:
        """waiting, prioritized, delayed, active, waiting-children, completed or failed."""
        return shown(self.job.state, self.job.priority)

    @cached_property
    def data(self) -> Any:
        return payload.decode(self.job.data)

    @cached_property
    def result(self) -> Any:
        return payload.decode(self.job.result)

    @property
    def priority(self) -> int:
        return self.job.priority

    @property
    def progress(self) -> float:
        return self.job.progress

    @property
    def attempts(self) -> int | None:
        """How often it may be tried; None: as long as it is kept trying."""
        return allowed_attempts(self.job)

    @property
    def attempts_made(self) -> int:
        """Runs that failed so far."""
        return self.job.attempts

    @property
    def tags(self) -> tuple[str, ...]:
        return self.job.options.tags

    @property
    def group(self) -> str | None:
        return self.job.options.group

    @property
    def dedup(self) -> Dedup | None:
        """The deduplication key it was added with, and how it is held."""
        return self.job.options.dedup

    @property
    def depends_on(self) -> tuple[str, ...]:
        """The ids of the jobs that have to complete before it."""
        return self.job.options.depends_on

    @property
    def parent(self) -> tuple[str, str] | None:
        """Queue and id of the job that waits for it; the queue is "" where a client of bunqueue has not said it."""
        id = self.job.options.parent_id
        return None if id is None else (claimed_queue(id, self.job.data) or "", id)

    @property
    def on_failure(self) -> str | None:
        """What its parent does when it is dead: fail, continue, ignore or remove."""
        policy = self.job.options.on_failure
        return None if policy is None else policy.value

    @property
    def error(self) -> str | None:
        """What the last failed run said."""
        history = self.job.history
        return history.error or (history.attempts[-1].error if history.attempts else None)

    @property
    def reason(self) -> str | None:
        """Why it is a dead letter."""
        return self.job.history.reason

    @property
    def errors(self) -> tuple[Attempt, ...]:
        """The failed runs that are remembered, oldest first."""
        return self.job.history.attempts

    @property
    def created_at(self) -> datetime | None:
        return moment(self.job.created_at_ms)

    @property
    def run_at(self) -> datetime | None:
        return moment(self.job.run_at_ms)

    @property
    def started_at(self) -> datetime | None:
        return moment(self.job.started_at_ms)

    @property
    def finished_at(self) -> datetime | None:
        return moment(self.job.finished_at_ms)


class JobHandle:
    """One job by its id: wait for it, look at it, change it."""

    def __init__(self, verbs: HubClient, id: str) -> None:
        self.id = id
        self._verbs = verbs

    def __repr__(self) -> str:
        return f"<job {self.id}>"

    async def result(self, timeout: Duration | None = None) -> Any:  # noqa: ASYNC109 - a result may come hours later
        """Wait until the job has ended, and return its result.

        Errors: JobFailed when it is dead, TimedOut, NotFound when it is gone.
        """
        loop = asyncio.get_running_loop()
        ends_s = None if timeout is None else loop.time() + duration_ms("timeout", timeout) / 1000
        while True:
            left_ms = MAX_WAIT_MS if ends_s is None else max(0, round((ends_s - loop.time()) * 1000))
            job = await self._verbs.wait(self.id, min(left_ms, MAX_WAIT_MS))
            if job is not None:
                break
            if ends_s is not None and loop.time() >= ends_s:
                raise TimedOut(f"job {self.id} has not ended yet")
        if job.state is State.FAILED:
            raise JobFailed(JobView(job).error)
        return payload.decode(job.result)

    async def get(self) -> JobView:
        """The job as it is now. Errors: NotFound."""
        return JobView(await self._verbs.get(self.id))

    async def cancel(self, *, active: bool = False) -> None:
        """Delete it before it starts. active: also tell a worker that runs it to stop."""
        await self._verbs.cancel(self.id, active=active)

    async def promote(self) -> None:
        """Let a delayed job run now."""
        await self._verbs.promote(self.id)

    async def snooze(self, delay: Duration | None = None, *, until: Moment | None = None) -> None:
        """Let it wait, so long from now or until then; no attempt is counted. Errors: NotFound, WrongState."""
        await self._verbs.snooze(
            self.id,
            until_ms=None if until is None else moment_ms("until", until),
            delay_ms=None if delay is None else duration_ms("delay", delay),
        )

    async def retry(self) -> None:
        """Run a job that has ended once more, with all its attempts."""
        await self._verbs.retry(self.id)

    async def update(self, data: object) -> None:
        """Replace its data."""
        await self._verbs.update(self.id, payload.encode(data))

    async def change_priority(self, priority: int) -> None:
        """Another place in the queue."""
        await self._verbs.change_priority(self.id, priority)

    async def change_delay(self, delay: Duration) -> None:
        """Let it become due so long from now."""
        await self._verbs.change_delay(self.id, duration_ms("delay", delay))
