"""The hub's clock is set while a pipeline runs: no window closes early, whatever else goes wrong then."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hubqueue.config.pipelines import read_pipeline
from hubqueue.hub.hub import Hub
from hubqueue.hub.settings import HubSettings
from hubqueue.model.bounds import QueueBounds
from hubqueue.model.job import NewJob
from hubqueue.model.outcome import Complete, Settlement
from hubqueue.model.state import State
from hubqueue.pipeline.runner import Runner
from support.pipelines import written
from support.waiting import soon, until

HOUR, DAY = 3_600_000, 86_400_000
T = 1_790_000_000_000 - 1_790_000_000_000 % HOUR
SUMS = "- window: {every: 1h, by: [d], time: t, lateness: 0s, values: {v: sum}}"


class Clock:
    """Stands still until it is set."""

    def __init__(self) -> None:
        self.now = T + 1000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    settings = HubSettings(queues={"out": QueueBounds(max_jobs=3)})
    async with await Hub.open(tmp_path / "hub.db", settings) as hub:
        yield hub


@pytest.fixture
async def runner(hub: Hub, clock: Clock, tmp_path: Path) -> AsyncIterator[Runner]:
    runner = Runner(hub, read_pipeline(written(tmp_path, SUMS)), clock)
    async with at_work(runner):
        yield runner


@asynccontextmanager
async def at_work(runner: Runner) -> AsyncIterator[None]:
    task = asyncio.create_task(runner.run())
    try:
        yield
    finally:
        runner.stop()
        await soon(task)


async def push(hub: Hub, *records: tuple[str, int, int], queue: str = "in") -> None:
    """(device, milliseconds after T, value)."""
    data = [{"d": device, "t": T + after_ms, "v": value} for device, after_ms, value in records]
    await hub.enqueue(queue, [NewJob(data=msgspec.msgpack.encode(each)) for each in data])


async def completed(hub: Hub, count: int) -> None:
    async def done() -> bool:
        return (await hub.counts("in")).completed == count

    await until(done)


async def sums(hub: Hub) -> list[tuple[str, int]]:
    found: list[Any] = [msgspec.msgpack.decode(job.data or b"") for job in (await hub.list_jobs("out", State)).jobs]
    return [(each["d"], each["v_sum"]) for each in found if "v_sum" in each]


@pytest.mark.parametrize("jump_ms", [DAY, -DAY])
async def test_a_jump_while_it_waits_for_jobs_closes_nothing(
    hub: Hub, clock: Clock, runner: Runner, jump_ms: int
) -> None:
    await push(hub, ("a", 0, 1))
    await completed(hub, 1)
    await until(lambda: runner._polling is not None)
    clock.now += jump_ms
    await push(hub, ("b", 0, 2))
    await completed(hub, 2)
    await push(hub, ("a", 1, 4))
    await completed(hub, 3)
    await push(hub, ("a", HOUR, 8))
    await completed(hub, 4)
    assert await sums(hub) == [("a", 5)]


async def test_a_jump_is_not_forgotten_when_nothing_can_be_stored(hub: Hub, clock: Clock, runner: Runner) -> None:
    await push(hub, ("x", 0, 0), ("x", 0, 0), ("x", 0, 0), queue="out")
    await push(hub, ("b", 0, 1))
    await completed(hub, 1)
    await push(hub, ("a", 0, 2), ("a", HOUR, 4))
    await until(lambda: runner.status.trouble is not None)
    clock.now += DAY
    released = runner.status.released
    await until(lambda: runner.status.released > released + 4)
    leased = await hub.lease("out", 3, owner="test")
    await hub.settle([Settlement(each.job.id, each.token, Complete()) for each in leased])
    await completed(hub, 3)
    await push(hub, ("b", 1, 8), ("b", HOUR, 16))
    await completed(hub, 5)
    assert await sums(hub) == [("a", 2), ("b", 9)]
