"""The way of a job is short: how many functions of the engine its usual commands enter, and in how many files.

From the bytes that come in to the SQL and back to the bytes of the reply; on a hub whose clock stands still, so that
nothing happens beside. Whoever needs more raises a number here, and has looked whether the way could be shorter.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pytest

from hubqueue.commands.notifications import NotificationEncoder
from hubqueue.hub.hub import Hub
from hubqueue.hub.settings import HubSettings
from hubqueue.servers.connection import Connection
from hubqueue.servers.replies import notification_frame
from hubqueue.system import SYSTEM, System
from hubqueue.wire.frames import HEADER_BYTES, frame
from support.calls import Calls
from support.context import context_of
from support.waiting import in_time

LIVES = 4  # the shortest counts: once in a while the log is measured
PUSH = {"cmd": "PUSH", "queue": "q", "name": "n", "data": {"t": 21.5}}
PULL = {"cmd": "PULL", "queue": "q", "owner": "w"}


class Wire(asyncio.Transport):
    """Where a reply leaves."""

    def __init__(self) -> None:
        super().__init__()
        self.written: asyncio.Queue[bytes] = asyncio.Queue()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def get_write_buffer_size(self) -> int:
        return 0

    def write(self, data: Any) -> None:
        self.written.put_nowait(bytes(data))


class Walk(NamedTuple):
    """The way of one command."""

    reply: dict[str, Any]
    functions: list[tuple[str, str]]


class Client:
    """What TCP has of a client, without a socket."""

    def __init__(self, hub: Hub) -> None:
        self._wire = Wire()
        encoder = NotificationEncoder(notification_frame)
        self._connection = Connection(context_of(hub), encoder, lambda _: True, lambda _: None)
        self._connection.connection_made(self._wire)

    async def walk(self, command: dict[str, Any]) -> Walk:
        body = frame(msgspec.msgpack.encode(command))
        with Calls() as calls:
            self._connection.data_received(body)
            async with in_time():
                written = await self._wire.written.get()
        reply = msgspec.msgpack.decode(written[HEADER_BYTES:])
        assert reply["ok"], reply
        return Walk(reply, calls.functions)


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    wall_ns, mono_ns = SYSTEM.wall_ns(), SYSTEM.mono_ns()
    standing = System(wall_ns=lambda: wall_ns, mono_ns=lambda: mono_ns)
    settings = HubSettings(sync_interval_s=3600.0)
    async with await Hub.open(tmp_path / "hub.db", settings, system=standing) as hub:
        await hub.maintenance.stop()
        client = Client(hub)
        for _ in range(2):  # what happens once is over: the queue is there, maintenance knows when to look
            await _life(client)
        yield client


async def _life(client: Client) -> tuple[Walk, Walk, Walk]:
    push, pull = await client.walk(PUSH), await client.walk(PULL)
    ack = await client.walk({"cmd": "ACK", "id": pull.reply["job"]["id"], "token": pull.reply["token"]})
    return push, pull, ack


def _within(calls: int, files: int, functions: list[tuple[str, str]]) -> None:
    assert len(functions) <= calls, "\n".join(f"{file}: {name}" for file, name in functions)
    entered = sorted({file for file, _ in functions})
    assert len(entered) <= files, "\n".join(entered)


async def test_a_job_enters_few_functions_on_its_way(client: Client) -> None:
    lives = [await _life(client) for _ in range(LIVES)]
    _within(36, 19, min((push.functions for push, _, _ in lives), key=len))
    _within(86, 25, min((pull.functions + ack.functions for _, pull, ack in lives), key=len))


async def test_a_batch_enters_few_more_for_each_of_its_jobs(client: Client) -> None:
    jobs = [{"name": "n", "data": number} for number in range(100)]
    push = await client.walk({"cmd": "PUSHB", "queue": "b", "jobs": jobs})
    pull = await client.walk({"cmd": "PULLB", "queue": "b", "count": 100, "owner": "w"})
    ids, tokens = [job["id"] for job in pull.reply["jobs"]], pull.reply["tokens"]
    ack = await client.walk({"cmd": "ACKB", "ids": ids, "tokens": tokens})
    _within(1 * 100 + 50, 24, push.functions)
    _within(7 * 100 + 60, 25, pull.functions)
    _within(4 * 100 + 60, 25, ack.functions)
