"""A real hub on a real file for each test, and short words for what the tests do with it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from hubqueue.client.local import LocalHub
from hubqueue.hub.settings import HubSettings
from hubqueue.hub.verbs.lease import lease
from hubqueue.model.job import Job, Leased, NewJob
from hubqueue.model.outcome import Outcome, Settlement
from hubqueue.model.verbs import Event
from support.clock import HeldClock
from support.mixed import miscounted
from support.waiting import until


class Bench:
    """The hub under test, whose time stands still until `later`. Queue "q" unless said otherwise."""

    def __init__(self, path: Path, settings: HubSettings) -> None:
        self.path = path
        self.settings = settings
        self.clock = HeldClock()
        self.hub: LocalHub

    async def open(self) -> LocalHub:
        self.hub = await LocalHub.open(self.path, self.settings, system=self.clock.system)
        return self.hub

    @property
    def now_ms(self) -> int:
        return self.hub.now_ms()

    async def later(self, ms: int) -> None:
        """So much later: maintenance is about to do what is due by then, and nothing is left of the time before."""
        await until(lambda: not self.hub.store._open and not self.hub.maintenance._busy)
        self.clock.at_ms += ms
        self.hub.maintenance.due_at(0)

    async def reopen(self) -> LocalHub:
        await self.hub.close()
        return await self.open()

    async def add(self, *names: str, queue: str = "q", **options: Any) -> list[str]:
        return await self.hub.enqueue(queue, [NewJob(name=name, **options) for name in names])

    async def take(
        self, count: int = 1, *, queue: str = "q", owner: str | None = "w", lease_ms: int = 30_000
    ) -> list[Leased]:
        """Lease without the door's lower bound, so that tests need not wait for seconds."""
        return await self.hub.run(lambda tx: lease(tx, queue, count, owner, lease_ms))

    async def take_names(self, count: int = 100, *, queue: str = "q") -> list[str]:
        return [each.job.name for each in await self.take(count, queue=queue)]

    async def end(self, leased: Leased, outcome: Outcome) -> None:
        await self.hub.settle([Settlement(leased.job.id, leased.token, outcome)])

    async def get(self, id: str) -> Job:
        return await self.hub.get(id)

    async def events(self, queue: str | None = "q") -> list[Event]:
        heard: list[Event] = []
        await self.hub.subscribe(queue, heard.append)
        return heard

    async def until(self, condition: Callable[[], Any]) -> None:
        """Wait until a condition (plain or async) holds."""
        await until(condition)

    async def check_counters(self) -> None:
        """The kept counters are what a recount finds."""
        assert await self.hub.run(miscounted) == []


@pytest.fixture
def settings() -> HubSettings:
    """Tests override this to open the hub with other settings."""
    return HubSettings(grace_s=0.2, sync_interval_s=0.1)


@pytest.fixture
async def bench(tmp_path: Path, settings: HubSettings) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path / "hub.db", settings)
    await bench.open()
    yield bench
    await bench.check_counters()
    await bench.hub.close()
