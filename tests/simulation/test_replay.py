"""The seams are enough: what a hub, its workers and its forwarder do hangs on the seed alone, byte by byte."""

from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest

from hubqueue.client.address import LinkSettings
from hubqueue.client.remote import RemoteHub
from hubqueue.forward.forwarders import Forwarders
from hubqueue.model.forwarding import ForwardSpec
from hubqueue.model.job import NewJob, Options
from hubqueue.model.retry import Backoff
from hubqueue.model.state import State
from hubqueue.model.verbs import Event
from hubqueue.work.running import RunningJob
from hubqueue.work.worker import Worker
from simulation.world import World
from support.served import Served, served
from support.waiting import until

JOBS: Final = 40
DAY_S: Final = 86_400
GUESTS: Final = 12

encode: Final = msgspec.msgpack.encode


class House:
    """Two hubs with their doors, a client with a worker at one of them, and a forwarder from there to the other."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self.folder = folder
        self.tries: list[tuple[str, int]] = []
        self.events: list[Event] = []
        self.ids: list[str] = []  # two for each number: of work and of a reading
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> House:
        system = self.world.system
        self.centre = await self._served("centre")
        self.edge = await self._served("edge")
        self.edge.hub.listen(None, self.events.append)
        self.forwarders = Forwarders(self.edge.hub, (), grace_s=1.0)
        await self.forwarders.start()
        self._stack.push_async_callback(self.forwarders.stop)
        await self.forwarders.put(ForwardSpec(name="up", queue="readings", to=self.centre.url))
        self.client = await self._stack.enter_async_context(RemoteHub(LinkSettings.from_url(self.edge.url), system))
        self.worker = Worker(self.client, "work", self._work, concurrency=3, lease_ms=2000, owner="w", system=system)
        await self._stack.enter_async_context(self.worker)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _served(self, name: str) -> Served:
        path = self.folder / f"{name}.db"
        return await self._stack.enter_async_context(served(path, system=self.world.system, disk=self.world.disk))

    async def _work(self, run: RunningJob) -> Any:
        self.tries.append((run.id, run.job.attempts))
        if run.job.attempts < run.data % 3:
            raise ValueError("not yet")
        return run.data

    async def fill(self) -> None:
        """Jobs for both ways, in several steps."""
        options = Options(backoff=Backoff(delay_ms=500, jitter=0.5))
        for number in range(len(self.ids) // 2, len(self.ids) // 2 + JOBS):
            work = NewJob(data=encode(number), max_attempts=5, options=options)
            self.ids += await self.client.enqueue("work", [work])
            self.ids += await self.client.enqueue("readings", [NewJob(data=encode(number))])

    async def through(self) -> None:
        """Until everything has been worked off and has arrived."""
        await until(self._all_done)

    async def _all_done(self) -> bool:
        worked, arrived = await self.edge.hub.counts("work"), await self.centre.hub.counts("readings")
        return worked.completed == arrived.waiting == len(self.ids) // 2

    async def jobs(self) -> list[Any]:
        """Every job of both hubs as it ended, with its history."""
        return [
            (job.id, job.state, job.attempts, job.lease_no, job.run_at_ms, job.finished_at_ms, job.history)
            for at in (self.edge, self.centre)
            for queue in ("work", "readings")
            for job in (await at.hub.list_jobs(queue, tuple(State), limit=1000)).jobs
        ]


async def cut_often(world: World, house: House) -> None:
    """Links break in the middle of everything."""
    filling = asyncio.ensure_future(house.fill())
    for _ in range(5):
        await asyncio.sleep(world.loop.chance.random())
        world.network.cut()
    await filling


async def set_clock(world: World, house: House) -> None:
    """The wall clock jumps to and fro."""
    for wrong_s in (DAY_S, -DAY_S, 0):
        filling = asyncio.ensure_future(house.fill())
        await asyncio.sleep(world.loop.chance.random())
        world.wrong_s = wrong_s
        await filling
        await asyncio.sleep(3)  # the hubs follow
        assert abs(house.edge.hub.now_ms() - world.system.wall_ms()) < 2000


def history(seed: int, folder: Path, trouble: Callable[[World, House], Any] = cut_often) -> list[Any]:
    """All that came of it, from the bytes on the links to the jobs in the files."""
    folder.mkdir()
    world = World(seed)

    async def life() -> list[Any]:
        async with House(world, folder) as house:
            await trouble(world, house)
            await house.through()
            return [house.ids, house.tries, house.events, await house.jobs()]

    return [*world.run(life()), world.network.trace, world.disk.trace, world.loop.now_ns]


@pytest.mark.parametrize("trouble", [cut_often, set_clock])
def test_the_same_seed_is_the_same_history(tmp_path: Path, trouble: Callable[[World, House], Any]) -> None:
    first, again = (history(1, tmp_path / name, trouble) for name in ("first", "again"))
    assert again == first
    assert history(2, tmp_path / "other", trouble) != first


def digest(folder: Path) -> str:
    return hashlib.sha256(repr(history(1, folder)).encode()).hexdigest()


def test_a_history_hangs_on_no_process(tmp_path: Path) -> None:
    """Sets of texts have another order in each: none may decide what is done first."""
    code = "import sys, pathlib; from simulation import test_replay as it; print(it.digest(pathlib.Path(sys.argv[1])))"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    found = {
        subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / seed)],
            env={**env, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert found == {f"{digest(tmp_path / 'here')}\n"}


def test_clients_are_let_go_in_the_order_they_came(tmp_path: Path) -> None:
    """Sets of objects have another order in each run: where they lie in memory must decide nothing."""
    world = World(1)

    async def life() -> list[str]:
        async with AsyncExitStack() as stack:
            system, disk = world.system, world.disk
            at = await stack.enter_async_context(served(tmp_path / "hub.db", system=system, disk=disk))
            for _ in range(GUESTS):
                await stack.enter_async_context(RemoteHub(LinkSettings.from_url(at.url), system))
            await at.server.close()
            return [link for _, link, data in world.network.trace if data is None and link.endswith("requests")]

    assert world.run(life()) == [f"{number} to 40000: requests" for number in range(1, GUESTS + 1)]
