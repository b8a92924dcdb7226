"""A queue as Python code holds it: add jobs, read them, steer it. The same near (`open`) and far (`Client`)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterable
from typing import Any, Final, Unpack

from hubqueue.api.batch import Batch
from hubqueue.api.forwarding import Forwarding, HubIdOf, Target, url_of
from hubqueue.api.jobs import JobHandle, JobView
from hubqueue.api.newjob import JobOptions, RunOptions, new_job, new_schedule, texts
from hubqueue.api.units import Duration, duration_ms
from hubqueue.client.hubclient import HubClient
from hubqueue.errors import Invalid
from hubqueue.forward.settings import ForwardSettings
from hubqueue.model.job import NewJob
from hubqueue.model.limits import check_queue, check_tags
from hubqueue.model.state import BY_LABEL, Move, State
from hubqueue.model.verbs import Counts, Event

PAGE: Final = 200  # jobs read at a time while iterating


class Queue:
    """One queue of a hub. It exists from its first job on."""

    def __init__(self, verbs: HubClient, name: str, hub_id_of: HubIdOf) -> None:
        self.name = check_queue(name)
        self._verbs = verbs
        self._hub_id_of = hub_id_of

    def __repr__(self) -> str:
        return f"<queue {self.name}>"

    async def add(self, name: str, data: object = None, **options: Unpack[JobOptions]) -> JobHandle:
        """Add a job; it is stored when this returns. See JobOptions for what can be said about it.

        Errors: Invalid, QueueFull, DiskFull, Draining, LinkDown.
        """
        (id,) = await self._verbs.enqueue(self.name, [new_job(name, data, options)])
        return JobHandle(self._verbs, id)

    async def add_many(self, jobs: Iterable[NewJob | tuple[str, object]], *, durable: bool = False) -> list[JobHandle]:
        """Add all of these jobs or none: `(name, data)` pairs, or what `job(name, data, ...)` makes."""
        new = [job if isinstance(job, NewJob) else new_job(*job, {}) for job in jobs]
        return [JobHandle(self._verbs, id) for id in await self._verbs.enqueue(self.name, new, durable=durable)]

    def take(self, count: int = 100, *, wait: Duration = 30, lease: Duration = 60) -> Batch:
        """Up to `count` jobs at once, waiting so long for the first: `async with queue.take(500) as batch`.

        When the block ends they are completed, when it raises they are given back.
        """
        return Batch(
            self._verbs, self.name, count, wait_ms=duration_ms("wait", wait), lease_ms=duration_ms("lease", lease)
        )

    def job(self, id: str) -> JobHandle:
        """The handle of a job whose id is known."""
        return JobHandle(self._verbs, id)

    async def get(self, id: str) -> JobView:
        """A job as it is now. Errors: NotFound."""
        return await self.job(id).get()

    async def jobs(self, *states: str, tags: Iterable[str] = (), newest_first: bool = False) -> AsyncIterator[JobView]:
        """The jobs in these states (none: in any), in the order they were accepted. Read in pages as you go.

        tags: only jobs that carry all of them. Errors: Invalid.
        """
        wanted, marks = [_state(label) for label in states], check_tags(texts("tags", tags))
        cursor: int | None = None
        while True:
            page = await self._verbs.list_jobs(
                self.name, wanted, limit=PAGE, cursor=cursor, ascending=not newest_first, tags=marks
            )
            for job in page.jobs:
                yield JobView(job)
            cursor = page.cursor
            if cursor is None:
                return

    def dead(self, *, tags: Iterable[str] = ()) -> AsyncIterator[JobView]:
        """The dead letters, oldest first. tags: only those that carry all of them."""
        return self.jobs("failed", tags=tags)

    async def counts(self) -> Counts:
        """Jobs by state."""
        return await self._verbs.counts(self.name)

    async def pause(self) -> None:
        """Hand out no more jobs; those that run go on."""
        await self._verbs.pause(self.name)

    async def resume(self) -> None:
        """Hand out jobs again."""
        await self._verbs.resume(self.name)

    async def drain(self) -> int:
        """Delete what has not started; how many."""
        return await self._verbs.drain(self.name)

    async def obliterate(self, *, force: bool = True) -> None:
        """Delete the queue with everything in it, running jobs too.

        force False: only one that holds no job but completed ones. Errors then: NotFound, WrongState.
        """
        await self._verbs.obliterate(self.name, force=force)

    async def retry_dlq(self, *, limit: int | None = None) -> int:
        """Run the dead letters again, oldest first, with all their attempts; how many."""
        return (await self._verbs.retry_dead(self.name, limit=limit)).again

    async def promote(self, *, limit: int | None = None) -> int:
        """Let what is delayed run now, oldest first, as after an outage; how many jobs."""
        return await self._verbs.promote_all(self.name, limit=limit)

    async def purge_dlq(self) -> int:
        """Delete the dead letters; how many."""
        return await self._verbs.purge(self.name)

    async def clean(self, grace: Duration, limit: int = 1000, *, state: str = "completed") -> list[str]:
        """Delete up to `limit` jobs in a state that are older than `grace`; their ids. Errors: Invalid."""
        return await self._verbs.clean(self.name, duration_ms("grace", grace), limit, _cleanable(state))

    async def upsert_schedule(
        self,
        key: str,
        *,
        every: Duration | None = None,
        cron: str | None = None,
        timezone: str | None = None,
        name: str = "default",
        data: object = None,
        limit: int | None = None,
        immediately: bool = False,
        overlap: bool = False,
        skip_missed: bool = True,
        worker_only: bool = False,
        **options: Unpack[RunOptions],
    ) -> None:
        """Add a job again and again: `every` so long, or at the times of a cron pattern. Replaces the key's old one.

        limit: so many runs and no more. immediately: a new one runs at once for the first time. overlap: it adds a job
        although that of the last run has not ended. skip_missed False: what was missed while the hub was down is made
        up for, by one job. worker_only: it adds a job only while a worker serves the queue. options: of each job.
        Errors: Invalid, also unless exactly one of every and cron is given.
        """
        if (every is None) == (cron is None):
            raise Invalid("a schedule needs exactly one of every and cron")
        every_ms = None if every is None else duration_ms("every", every)
        if every_ms is not None and every_ms < 1:
            raise Invalid("every must be at least a millisecond")
        rules = {
            "every_ms": every_ms,
            "cron": cron,
            "timezone": timezone,
            "limit": limit,
            "immediately": immediately,
            "overlap": overlap,
            "skip_missed": skip_missed,
            "worker_only": worker_only,
        }
        await self._verbs.upsert_schedule(new_schedule(key, self.name, name, data, options, **rules))

    async def delete_schedule(self, key: str) -> None:
        """End a schedule; jobs it has added stay. Errors: NotFound."""
        await self._verbs.delete_schedule(key)

    async def subscribe(
        self, receive: Callable[[Event], Any], *, kinds: Collection[str] | None = None
    ) -> Callable[[], None]:
        """Call `receive` for what happens to jobs of this queue, of these kinds. Returns what ends it.

        kinds None: the usual ones, which `*` stands for among others; `expired` is told to those only who name it.
        """
        return await self._verbs.subscribe(self.name, receive, kinds)

    def forward(
        self,
        to: str,
        *,
        queue: str | None = None,
        token: str | None = None,
        tls: bool | None = None,
        ca_file: str | None = None,
        check_hostname: bool = True,
        concurrency: int = 1,
        durable: bool = True,
        batch: int = 100,
    ) -> Forwarding:
        """Forward the jobs of this queue to another hub, as long as the returned object is entered or started.

        to: `tls://host:port`, `tcp://host:port` or `host:port` with `tls` said; queue: there, None: the same name.
        concurrency 1 keeps the order within a priority. durable: the other hub syncs before it says ok.
        """
        target = Target(url_of(to, tls), queue, token, ca_file, check_hostname, durable)
        settings = ForwardSettings(concurrency=concurrency, batch=batch)
        return Forwarding(self._verbs, self.name, self._hub_id_of, target, settings)


def _state(label: str) -> State:
    state = BY_LABEL.get(label)
    if state is None:
        raise Invalid(f"there is no state {label!r}", hint=f"states are {', '.join(BY_LABEL)}")
    return state


def _cleanable(label: str) -> State:
    state = _state(label)
    if state not in Move.CLEAN.sources:
        able = ", ".join(word for word, each in BY_LABEL.items() if each in Move.CLEAN.sources)
        raise Invalid(f"jobs that are {label} are not cleaned", hint=f"give one of {able}, or cancel single jobs")
    return state
