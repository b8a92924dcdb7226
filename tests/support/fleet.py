"""A hub whose forwarders come and go, and what its subscribers hear."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from hubqueue.forward.forwarders import Forwarders
from hubqueue.forward.managed import ForwarderStatus
from hubqueue.hub.hub import Hub
from hubqueue.model.forwarding import ForwardSpec
from hubqueue.model.job import NewJob
from hubqueue.model.verbs import Event
from support.served import Served
from support.waiting import until

encode, decode = msgspec.msgpack.encode, msgspec.msgpack.decode


class Edge:
    """The hub that forwards."""

    def __init__(self, hub: Hub, fleet: Forwarders) -> None:
        self.hub = hub
        self.fleet = fleet

    async def add(self, count: int, start: int = 0, queue: str = "readings") -> list[str]:
        return await self.hub.enqueue(queue, [NewJob(data=encode(n)) for n in range(start, start + count)])

    async def put(self, to: str, name: str = "up", **fields: Any) -> None:
        quick = {"queue": "readings", "backoff_ms": 20, "backoff_cap_ms": 200}
        await self.fleet.put(ForwardSpec(name=name, to=to, **{**quick, **fields}))

    async def status(self, name: str = "up") -> ForwarderStatus:
        return next(status for status in await self.fleet.statuses() if status.plan.name == name)

    async def shows(self, condition: Callable[[ForwarderStatus], bool], name: str = "up") -> ForwarderStatus:
        async def held() -> bool:
            return condition(await self.status(name))

        await until(held)
        return await self.status(name)


class Watch:
    """What the hub's subscribers hear."""

    def __init__(self, hub: Hub, queue: str | None = "readings") -> None:
        self.events: list[Event] = []
        hub.listen(queue, self.events.append)

    def of(self, kind: str) -> list[Event]:
        return [event for event in self.events if event.kind == kind]

    @property
    def links(self) -> list[str]:
        return [decode(event.data)["link"] for event in self.of("forwarder:link") if event.data is not None]


async def arrived(there: Served, queue: str = "readings") -> list[int]:
    jobs = await there.hub.list_jobs(queue, limit=1000)
    return [decode(job.data or b"") for job in jobs.jobs]
