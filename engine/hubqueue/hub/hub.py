"""A hub: opens one job file and answers `model.verbs.Verbs` to its own process.

Listeners with a hot path use `submit` and `lease_or_park` of Core; all other verbs are commands, see client.hubclient.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

import msgspec

from hubqueue.errors import HubqueueError
from hubqueue.hub.completions import CompletionWaiters
from hubqueue.hub.core import Core
from hubqueue.hub.settings import HubSettings
from hubqueue.hub.verbs import blobs as state_blobs
from hubqueue.hub.verbs import explore, lapse, leased, query, schedule
from hubqueue.hub.verbs.enqueue import enqueue
from hubqueue.hub.verbs.lease import DEFAULT_LEASE_MS, clamp_lease_ms
from hubqueue.hub.verbs.reroute import Router
from hubqueue.hub.verbs.settle import settle
from hubqueue.model.channel import ChannelMessage
from hubqueue.model.job import Enqueueable, Job, Leased
from hubqueue.model.limits import (
    MAX_BATCH,
    MAX_LEASE_BATCH,
    MAX_WAIT_MS,
    check_int,
    check_new_job,
    check_queue,
    check_size,
    check_tags,
)
from hubqueue.model.outcome import Blob, Complete, Output, Settlement
from hubqueue.model.schedule import Schedule, check_schedule
from hubqueue.model.state import TERMINAL, State, words_of
from hubqueue.model.verbs import Counts, Event, Page, QueueInfo, Renewal, wants
from hubqueue.store import backup
from hubqueue.store import blobs as stored
from hubqueue.store.disk import DISK, Disk
from hubqueue.store.tx import Tx
from hubqueue.system import SYSTEM, System

log = logging.getLogger(__name__)

R = TypeVar("R")


class Hub(Core):
    """See `model.verbs.Verbs` for what each verb does."""

    @classmethod
    async def open(
        cls,
        path: str | Path,
        settings: HubSettings | None = None,
        *,
        reachable: bool = True,
        router: Router | None = None,
        system: System = SYSTEM,
        disk: Disk = DISK,
    ) -> Self:
        """Open or create the job file and start maintenance. router: knows what messages of `_unroutable` become.

        reachable: workers that held leases can come back for them at once; else from `begin_grace` on.

        Errors: AlreadyOpen, NewerFile, DamagedFile, DiskFull, StoreError.
        """
        hub = cls(Path(path), settings or HubSettings(), router, system, disk)
        try:
            await hub.store.run_freeing(lapse.orphan)
            if reachable:
                await hub.begin_grace()
        except BaseException:
            await hub.store.close()
            raise
        hub.maintenance.start()
        return hub

    async def begin_grace(self) -> None:
        """Workers can reach the hub: leases from before it went down end after the grace, if nobody comes back."""
        grace_ms = int(self.settings.grace_s * 1000)
        await self.store.run_freeing(lambda tx: lapse.grace(tx, grace_ms))
        self.maintenance.end_leases()

    async def close(self) -> None:
        """Answer who waits, finish what was accepted, close the file. Safe to call twice."""
        self.drain_off()
        self.summaries.stop()
        await self.maintenance.stop()
        try:
            await self.write_metrics()
        except HubqueueError as error:
            log.warning("The statistics of the last seconds are lost. error=%s", error)
        await self.store.close()

    def drain_off(self) -> None:
        """Take no new jobs and hand none out; settling goes on."""
        self.draining = True
        for parked in self._waiters.everyone():
            parked.answer([])

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    # jobs in

    async def enqueue(self, queue: str, jobs: Sequence[Enqueueable], *, durable: bool = False) -> list[str]:
        check_queue(queue)
        check_int("jobs", len(jobs), 0, MAX_BATCH)
        for job in jobs:
            check_new_job(job)
        size = sum(len(job.data) for job in jobs if job.data is not None)
        return await self.run(lambda tx: enqueue(tx, queue, jobs), durable=durable, size=size)

    # jobs out

    async def lease(
        self, queue: str, count: int = 1, *, owner: str, lease_ms: int = DEFAULT_LEASE_MS, wait_ms: int = 0
    ) -> list[Leased]:
        check_queue(queue)
        check_int("count", count, 1, MAX_LEASE_BATCH)
        check_int("timeout", wait_ms, 0, MAX_WAIT_MS)
        future: asyncio.Future[list[Leased]] = asyncio.get_running_loop().create_future()

        def reply(result: list[Leased] | HubqueueError) -> None:
            if future.cancelled():
                if not isinstance(result, HubqueueError):
                    self._return(result)
            elif isinstance(result, HubqueueError):
                future.set_exception(result)
            else:
                future.set_result(result)

        lease_ms = clamp_lease_ms(lease_ms)
        parked = self.lease_or_park(queue, count, owner, lease_ms, wait_ms, None, reply)
        try:
            return await future
        except asyncio.CancelledError:
            if parked is not None and not parked.answered:
                parked.cancel()
            elif future.done() and not future.cancelled() and future.exception() is None:
                self._return(future.result())  # cancelled in the moment between the answer and its reader
            raise

    async def settle(
        self,
        settlements: Sequence[Settlement],
        *,
        outputs: Sequence[Output] = (),
        blobs: Sequence[Blob] = (),
        expects: Sequence[Blob] = (),
        durable: bool = False,
    ) -> list[str]:
        check_settle(settlements, outputs)
        return await self.run(lambda tx: settle(tx, settlements, outputs, blobs, expects), durable=durable)

    async def extend(self, leases: Sequence[tuple[str, str | None]], lease_ms: int | None = None) -> list[Renewal]:
        length = None if lease_ms is None else clamp_lease_ms(lease_ms)
        return await self.run(lambda tx: leased.extend(tx, leases, length))

    async def reclaim(self, queue: str, owner: str, *, blames: bool = False) -> int:
        """Release the leases an owner in this process had in an earlier life; nothing is counted. How many.

        blames: but that the hub went down with these jobs, which one of them may have done.
        """
        done = 0
        while some := await self.run(lambda tx: lapse.reclaim(tx, queue, owner, blames=blames)):
            done += len(some)
        return done

    # reading

    async def get(self, id: str) -> Job:
        return await self.run(lambda tx: query.get(tx, id))

    async def list_jobs(
        self,
        queue: str,
        states: Sequence[State] = (),
        *,
        limit: int = 100,
        cursor: int | None = None,
        offset: int = 0,
        ascending: bool = True,
        tags: Collection[str] = (),
    ) -> Page:
        check_tags(tags)

        def verb(tx: Tx) -> Page:
            if tags:
                words = words_of(states)
                return explore.tagged(
                    tx, queue, words, tags, limit=limit, after=cursor, offset=offset, ascending=ascending
                )
            return query.list_jobs(tx, queue, states, limit=limit, cursor=cursor, offset=offset, ascending=ascending)

        return await self.run(verb)

    async def counts(self, queue: str) -> Counts:
        return await self.run(lambda tx: query.counts(tx, queue))

    async def queues(self) -> list[QueueInfo]:
        return await self.run(query.queues)

    async def blobs(self, namespace: str, *, after: str = "", limit: int = 1000) -> list[tuple[str, bytes]]:
        return await self.run(lambda tx: state_blobs.page(tx, namespace, after, limit))

    async def blob(self, namespace: str, key: str) -> bytes | None:
        """A state blob that a settle stored."""
        return await self.run(lambda tx: stored.get(tx, namespace, key))

    async def wait(self, id: str, timeout_ms: int = 30_000) -> Job | None:
        check_int("timeout", timeout_ms, 0, 600_000)
        job = await self.get(id)
        if job.state in TERMINAL or timeout_ms == 0:
            return job if job.state in TERMINAL else None
        future: asyncio.Future[Job] = asyncio.get_running_loop().create_future()
        stop = self.when_ended(id, lambda result: _resolve(future, result))
        try:
            return await asyncio.wait_for(future, timeout_ms / 1000)
        except TimeoutError:
            return None
        finally:
            stop()

    def when_ended(
        self,
        id: str,
        reply: Callable[[Job | HubqueueError], None],
        check: Callable[[Tx], None] | None = None,
    ) -> Callable[[], None]:
        """Call reply once the job has completed or failed (NotFound if it was removed). Returns what stops it.

        check: refuses in the transaction that looks the job up.
        """
        return CompletionWaiters(self.store, self._awaited, id, reply, check).stop

    # the rest

    async def upsert_schedule(self, spec: Schedule) -> None:
        placed = self.placed(spec)
        await self.run(lambda tx: schedule.upsert(tx, placed))

    def placed(self, spec: Schedule) -> Schedule:
        """The schedule, checked, with the time zone it is read in. Errors: Invalid."""
        placed = msgspec.structs.replace(spec, zone=spec.timezone or self.settings.timezone)
        check_schedule(placed)
        return placed

    async def subscribe(
        self, queue: str | None, receive: Callable[[Event], Any], kinds: Collection[str] | None = None
    ) -> Callable[[], None]:
        return self.listen(queue, receive, kinds)

    def listen(
        self, queue: str | None, receive: Callable[[Event], Any], kinds: Collection[str] | None = None
    ) -> Callable[[], None]:
        """`subscribe` for callers in this process."""
        return self._events.subscribe(queue, lambda event: receive(event) if wants(kinds, event) else None)

    def tell(self, kind: str, queue: str, job_id: str, *, error: str | None = None, data: bytes | None = None) -> None:
        """Publish an event that no transaction makes, as a link that went down; nothing is built if nobody listens."""
        watched = self.store.tx.watched(queue)
        if watched or self.summaries.wants(kind):
            event = Event(kind, queue, job_id, self.now_ms(), error=error, data=data)
            if watched:
                self._events.publish([event])
            self.summaries.note(event)

    async def publish(self, channel: str, data: bytes) -> int:
        return self.channels.publish(channel, data)

    async def hear(self, channel: str, receive: Callable[[ChannelMessage], Any]) -> Callable[[], None]:
        return self.channels.subscribe(channel, receive)

    async def backup(self, target: str | Path) -> int:
        """Write a consistent copy beside the running work; its size in bytes. Errors: Invalid, StoreError."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(None, backup.copy_to, self.store.path, Path(target), self.store.disk)


def check_settle(settlements: Sequence[Settlement], outputs: Sequence[Output]) -> None:
    """Bounds of a settle. Errors: Invalid, PayloadTooLarge."""
    check_int("settlements", len(settlements), 0, MAX_LEASE_BATCH)
    check_int("outputs", len(outputs), 0, MAX_BATCH)
    for each in settlements:
        if isinstance(each.outcome, Complete):
            check_size(each.outcome.result)
    for output in outputs:
        check_queue(output.queue)
        check_new_job(output.job)


def _resolve(future: asyncio.Future[Job], result: Job | HubqueueError) -> None:
    if future.done():
        return
    if isinstance(result, HubqueueError):
        future.set_exception(result)
    else:
        future.set_result(result)
