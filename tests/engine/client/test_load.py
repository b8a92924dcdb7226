"""The load generator against a real hub: what it says it did is what the hub has."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from hubqueue.client.load import Flow, Line, Load, Requests, Target, Todo, Worker, command, drive
from hubqueue.errors import ProtocolError
from support.served import Served, served


def pushes(queue: str, count: int) -> list[bytes]:
    return [command("PUSH", number, queue=queue, data={"n": number}) for number in range(count)]


async def driven(door: Served, *flows: Flow) -> Load:
    return await asyncio.to_thread(drive, Target(door.port), flows)


async def counts(door: Served, queue: str) -> dict[str, int]:
    def ask() -> dict[str, int]:
        with Line(Target(door.port)) as line:
            reply: dict[str, int] = line.call("GetJobCounts", queue=queue)["counts"]
            return reply

    return await asyncio.to_thread(ask)


@pytest.mark.parametrize("window", [1, 7, 500])
async def test_every_request_is_sent_once_and_answered(tmp_path: Path, window: int) -> None:
    async with served(tmp_path / "hub.db") as door:
        load = await driven(door, Requests(pushes("q", 100), window))
        assert len(load.latencies) == 100
        assert (await counts(door, "q"))["waiting"] == 100


@pytest.mark.parametrize("batch", [0, 1, 30])
async def test_workers_complete_what_was_to_do(tmp_path: Path, batch: int) -> None:
    async with served(tmp_path / "hub.db") as door:
        await driven(door, Requests(pushes("q", 100), 50))
        todo = Todo(100)
        await driven(door, *(Worker("q", batch, todo, wait_ms=100) for _ in range(3)))
        assert todo.left == 0
        assert (await counts(door, "q"))["completed"] == 100


async def test_workers_wait_for_producers_beside_them(tmp_path: Path) -> None:
    async with served(tmp_path / "hub.db") as door:
        todo = Todo(200)
        producers = [Requests(pushes("q", 100), 10) for _ in range(2)]
        await driven(door, *producers, *(Worker("q", 5, todo, wait_ms=1000) for _ in range(2)))
        assert (await counts(door, "q"))["completed"] == 200


async def test_a_refused_request_is_not_counted_as_work(tmp_path: Path) -> None:
    async with served(tmp_path / "hub.db") as door:
        with pytest.raises(ProtocolError, match="Queue name"):
            await driven(door, Requests([command("PUSH", 0, queue="no spaces", data=1)], 1))


async def test_the_load_shows_its_token(tmp_path: Path) -> None:
    async with served(tmp_path / "hub.db", tokens=("secret",)) as door:
        target = Target(door.port, token="secret")
        await asyncio.to_thread(drive, target, [Requests(pushes("q", 3), 1)])
        assert await door.hub.counts("q")


def test_percentiles_are_of_the_latencies_seen() -> None:
    load = Load(latencies=[float(number) for number in range(100, 0, -1)])
    assert load.percentile(0.5) == 51.0
    assert load.percentile(0.99) == 100.0
    assert load.percentile(1.0) == 100.0
    assert Load().percentile(0.5) == 0.0
