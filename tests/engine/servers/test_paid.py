"""What a job pays on its way through the TCP door, in calls of functions: what is there for all jobs is paid by each.

The bounds are what was counted, and a little more. Who needs more for good reasons raises them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import msgspec
import pytest

from bench.jobs import RESULT, batches, pushes
from hubqueue.client.load import command
from hubqueue.hub.hub import Hub
from hubqueue.servers.tcp import TcpServer
from support.calls import Calls

WINDOW = 50
BATCH = 500
ROUNDS = 3  # the least counts: a beat of maintenance may come between

Ask = Callable[[list[bytes]], Awaitable[bytes]]


@pytest.fixture
async def ask(server: TcpServer) -> AsyncIterator[Ask]:
    """Send frames at once; the last answer, when all are there. Without a call of the engine on this side."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)

    async def asked(frames: list[bytes]) -> bytes:
        body = b""
        writer.write(b"".join(frames))
        for _ in frames:
            size = int.from_bytes(await reader.readexactly(4), "big")
            body = await reader.readexactly(size)
        assert msgspec.msgpack.decode(body)["ok"]
        return body

    yield asked
    writer.close()
    await writer.wait_closed()


async def calls_of(ask: Ask, frames: list[bytes]) -> int:
    with Calls() as calls:
        await ask(frames)
    return calls.total


async def test_a_push_pays_for_itself_alone(hub: Hub, ask: Ask) -> None:
    frames = pushes("readings", WINDOW)
    await ask(frames)
    assert min([await calls_of(ask, frames) for _ in range(ROUNDS)]) / WINDOW < 39.5
    assert (await hub.counts("readings")).waiting == (1 + ROUNDS) * WINDOW


async def test_a_job_of_a_batch_pays_for_itself_alone(hub: Hub, ask: Ask) -> None:
    pushing = batches("readings", BATCH, BATCH)
    pulling = command("PULLB", 0, queue="readings", count=BATCH, timeout=0, owner="load", lockTtl=30_000)
    pushed, pulled, acked = [], [], []
    await ask(pushing)
    for _ in range(ROUNDS):
        pushed.append(await calls_of(ask, pushing))
        with Calls() as calls:
            hand = msgspec.msgpack.decode(await ask([pulling]))
        pulled.append(calls.total)
        ids = [job["id"] for job in hand["jobs"]]
        results = [RESULT] * len(ids)
        acked.append(await calls_of(ask, [command("ACKB", 1, ids=ids, tokens=hand["tokens"], results=results)]))
    assert min(pushed) / BATCH < 2.5
    assert min(pulled) / BATCH < 10.7
    assert min(acked) / BATCH < 8.7
    counts = await hub.counts("readings")
    assert (counts.waiting, counts.completed) == (BATCH, ROUNDS * BATCH)
