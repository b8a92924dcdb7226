"""What an open hub and a client have in common: queues, workers and jobs over the same verbs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from typing import Any, overload

from hubqueue.api.channel import Channel
from hubqueue.api.jobs import JobHandle
from hubqueue.api.queue import Queue
from hubqueue.api.units import Duration, duration_ms
from hubqueue.client.hubclient import HubClient
from hubqueue.model.verbs import Event, QueueInfo
from hubqueue.work.worker import Handler, Worker


class Access(ABC):
    """A hub to work with, in this process or elsewhere."""

    @property
    @abstractmethod
    def verbs(self) -> HubClient:
        """The hub's verbs, for what this surface has no word for."""

    @abstractmethod
    def _hub_id_of(self, seq: int) -> str:
        """The hub_id under which a seq was given out: what forwarded jobs are called after."""

    def queue(self, name: str) -> Queue:
        """A queue by its name; it exists from its first job on. Errors: Invalid for a name that cannot be."""
        return Queue(self.verbs, name, self._hub_id_of)

    async def queues(self) -> list[QueueInfo]:
        """All queues with their counts."""
        return await self.verbs.queues()

    def job(self, id: str) -> JobHandle:
        """The handle of a job whose id is known; ids are unique across queues."""
        return JobHandle(self.verbs, id)

    def channel(self, name: str) -> Channel:
        """A channel by its name: `async for said in hub.channel("doors")`; `*` listens to all of them."""
        return Channel(self.verbs, name)

    async def publish(self, channel: str, data: Any = None) -> int:
        """Tell everybody who listens to a channel now; how many listeners there are."""
        return await self.channel(channel).publish(data)

    async def subscribe(
        self, receive: Callable[[Event], Any], *, kinds: Collection[str] | None = None
    ) -> Callable[[], None]:
        """Call `receive` for what happens to jobs of any queue, of these kinds. Returns what ends it.

        kinds None: the usual ones, which `*` stands for among others; `expired` is told to those only who name it.
        """
        return await self.verbs.subscribe(None, receive, kinds)

    @overload
    def worker(
        self,
        queue: str,
        handler: Handler,
        *,
        concurrency: int = 1,
        lease: Duration = 30,
        poll: Duration = 30,
        grace: Duration = 30,
    ) -> Worker: ...
    @overload
    def worker(
        self,
        queue: str,
        *,
        concurrency: int = 1,
        lease: Duration = 30,
        poll: Duration = 30,
        grace: Duration = 30,
    ) -> Callable[[Handler], Worker]: ...

    def worker(
        self,
        queue: str,
        handler: Handler | None = None,
        *,
        concurrency: int = 1,
        lease: Duration = 30,
        poll: Duration = 30,
        grace: Duration = 30,
    ) -> Worker | Callable[[Handler], Worker]:
        """A worker for a queue: `async with hub.worker(...)` or `await hub.worker(...).run()`.

        Without a handler it decorates one. lease: how long the hub waits for a sign of life; grace: what running
        handlers get when it stops.
        """

        def make(handler: Handler) -> Worker:
            return Worker(
                self.verbs,
                queue,
                handler,
                concurrency=concurrency,
                lease_ms=duration_ms("lease", lease),
                poll_ms=duration_ms("poll", poll),
                grace_s=duration_ms("grace", grace) / 1000,
            )

        return make if handler is None else make(handler)
