"""The register of workers: who is there, for how long, and what all of them have done."""

from __future__ import annotations

import pytest

from hubqueue.commands.workers import GONE_MS, STALE_MS, Workers
from hubqueue.errors import NotFound
from hubqueue.servers.tcp import TcpServer
from hubqueue.system import SYSTEM
from support.tcp import Connect
from support.waiting import until


class Clock:
    def __init__(self) -> None:
        self.now = 1_000_000

    def __call__(self) -> int:
        return self.now


def register(workers: Workers, id: str, owner: object = None) -> None:
    workers.register(id, "w", ["q"], 2, "h", 1, None, owner)


def test_a_silent_worker_is_stale_and_then_gone() -> None:
    clock = Clock()
    workers = Workers(clock, SYSTEM)
    register(workers, "a")
    clock.now += STALE_MS - 1
    assert [each["status"] for each in workers.shown()] == ["active"]
    clock.now += 1
    assert [each["status"] for each in workers.shown()] == ["stale"]
    workers.heartbeat("a", None, None, None)
    assert [each["status"] for each in workers.shown()] == ["active"]
    clock.now += GONE_MS + 1
    assert workers.shown() == []
    with pytest.raises(NotFound):
        workers.heartbeat("a", None, None, None)


def test_sums_outlive_their_workers_and_go_on_when_one_is_restarted() -> None:
    workers = Workers(Clock(), SYSTEM)
    for id in ("a", "b"):
        register(workers, id)
        workers.heartbeat(id, 0, 5, 1)
        workers.heartbeat(id, 0, 7, 1)
    workers.remove("a")
    workers.heartbeat("b", 0, 2, 0)
    workers.heartbeat("b", 0, 3, 1)
    assert (workers.processed, workers.failed) == (17, 3)


async def test_a_worker_that_came_back_does_not_go_with_its_old_connection(connect: Connect, server: TcpServer) -> None:
    old, new, client = await connect(), await connect(), await connect()
    for each in (old, new):
        await each.good("RegisterWorker", workerId="w1", name="w")
    await old.close()
    await until(lambda: server.connections == 2)
    assert [each["id"] for each in (await client.good("ListWorkers"))["data"]["workers"]] == ["w1"]
    await new.close()
    await until(lambda: server.connections == 1)
    assert (await client.good("ListWorkers"))["data"]["workers"] == []
