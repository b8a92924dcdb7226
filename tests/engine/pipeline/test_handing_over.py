"""A window step whose settings become others: what it had gathered goes out, nothing is dropped."""

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
from hubqueue.pipeline.runner import Runner
from support.pipelines import written
from support.waiting import soon, until

MINUTE = 60_000
T = 1_790_000_000_000 - 1_790_000_000_000 % MINUTE
SUMS = "- window: {every: 60s, by: [d], time: t, lateness: 0s, values: {v: sum}}"
MEANS = SUMS.replace("sum", "mean")


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    settings = HubSettings(queues={"small": QueueBounds(max_jobs=3)})
    async with await Hub.open(tmp_path / "hub.db", settings) as hub:
        yield hub


@asynccontextmanager
async def running(hub: Hub, folder: Path, steps: str, to: str = "out") -> AsyncIterator[Runner]:
    """A pipeline from the queue `in`, a second after T."""
    file = written(folder, steps, head=f"name: p\nfrom: {{queue: in}}\nto: {{queue: {to}}}")
    runner = Runner(hub, read_pipeline(file), lambda: T + 1000)
    task = asyncio.create_task(runner.run())
    try:
        yield runner
    finally:
        runner.stop()
        await soon(task)


async def push(hub: Hub, *data: Any) -> None:
    await hub.enqueue("in", [NewJob(name="reading", data=msgspec.msgpack.encode(each)) for each in data])


async def gathered(hub: Hub, count: int) -> None:
    async def all_done() -> bool:
        return (await hub.counts("in")).completed == count

    await until(all_done)


async def taken(hub: Hub, queue: str, count: int, wait_ms: int = 0) -> list[Any]:
    """The results that are in a queue now; their jobs are completed."""
    leases = await hub.lease(queue, count, owner="test", wait_ms=wait_ms)
    await hub.settle([Settlement(each.job.id, each.token, Complete()) for each in leases])
    return [msgspec.msgpack.decode(each.job.data or b"") for each in leases]


async def test_open_windows_go_out_as_they_are(hub: Hub, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    many = [{"d": f"d{n}", "t": T + n, "v": n} for n in range(700)]  # more than go out at a time
    await push(hub, *many, {"d": "d0", "t": T, "v": 5})
    before = "- window: {every: 60s, by: [d], time: t, lateness: 0s, values: {v: [sum, p50, last]}}"
    async with running(hub, tmp_path, before):
        await gathered(hub, 701)
    await push(hub, {"d": "d0", "t": T, "v": 7})
    async with running(hub, tmp_path, f"{MEANS}\n- map: {{constant: {{site: hall}}}}") as runner:
        await gathered(hub, 702)
        assert runner.shown().open == 1
    assert "goes out pipeline=p step=window results=700" in caplog.text
    found = await taken(hub, "out", 1000)
    assert len(found) == 700
    (first,) = [each for each in found if each["d"] == "d0"]
    whole = {"start_ms": T, "end_ms": T + MINUTE, "site": "hall"}
    assert first == {"d": "d0", "count": 2, "v_sum": 5, "v_p50": 2.5, "v_last": 5, **whole}
    assert sorted(each["v_sum"] for each in found) == sorted([5, *range(1, 700)])
    assert [key for key, _ in await hub.blobs("pipeline:p:window")] == ['g:["d0"]']


async def test_they_wait_for_room_and_go_out_once(hub: Hub, tmp_path: Path) -> None:
    await push(hub, *({"d": f"d{n}", "t": T, "v": n} for n in range(8)))
    async with running(hub, tmp_path, SUMS, "small"):
        await gathered(hub, 8)
    got: list[Any] = []
    async with running(hub, tmp_path, MEANS, "small") as runner:
        while len(got) < 8:
            got += await taken(hub, "small", 3, 30_000)
        await until(lambda: runner.status.trouble is None)
        assert runner.shown().open == 0
    assert sorted(each["v_sum"] for each in got) == list(range(8))
    assert (await hub.counts("small")).waiting == 0


async def test_the_same_settings_keep_windows_open(hub: Hub, tmp_path: Path) -> None:
    await push(hub, {"d": "a", "t": T, "v": 1})
    async with running(hub, tmp_path, SUMS):
        await gathered(hub, 1)
    await push(hub, {"d": "a", "t": T, "v": 2})
    async with running(hub, tmp_path, SUMS.replace("lateness: 0s", "lateness: 9s")) as runner:
        await gathered(hub, 2)
        assert runner.shown().open == 1
    assert await taken(hub, "out", 10) == []
