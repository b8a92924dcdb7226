"""A client that asks for much and reads nothing costs a bounded amount of memory, then its connection."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from hubqueue.hub.hub import Hub
from hubqueue.model.job import NewJob
from hubqueue.servers.connected import MAX_UNSENT_BYTES
from hubqueue.servers.tcp import TcpServer
from support.waiting import until
from support.wire import frame

MEGABYTE = 1024 * 1024
POLLS = 2 * MAX_UNSENT_BYTES // MEGABYTE  # each of which is answered with a megabyte


async def test_a_client_that_never_reads_is_cut_and_its_jobs_go_back(
    hub: Hub, server: TcpServer, caplog: pytest.LogCaptureFixture
) -> None:
    polls = [{"cmd": "PULL", "reqId": str(n), "queue": "q", "owner": "w", "timeout": 60_000} for n in range(POLLS)]
    _, writer = await asyncio.open_connection("127.0.0.1", server.port, limit=1)
    writer.transport.pause_reading()  # type: ignore[attr-defined]
    writer.write(b"".join(frame(msgspec.msgpack.encode(poll)) for poll in polls))
    await until(lambda: len(hub._waiters.everyone()) == POLLS)
    job = NewJob(data=msgspec.msgpack.encode(b"x" * MEGABYTE))
    added = 0
    while "connection cut: it does not take its replies" not in caplog.text and added < POLLS:
        await hub.enqueue("q", [job])
        added += 1
        await asyncio.sleep(0)  # a turn for what is to be written
    assert MAX_UNSENT_BYTES < added * MEGABYTE < 1.5 * MAX_UNSENT_BYTES  # the kernel takes a few, too

    async def back() -> bool:
        counts = await hub.counts("q")
        return (counts.waiting, counts.active) == (added, 0)

    await until(back)
    writer.close()
