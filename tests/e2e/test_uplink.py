"""An edge hub that forwards over a bad uplink to a central server, as separate processes (P5, P6, design 11).

The uplink is TLS with a private CA and a token; it is cut, refused, half-open and torn in mid-frame ten times, and
the edge is killed with SIGKILL in mid-batch twice. Afterwards the central server has every job exactly once.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hubqueue.client.address import LinkSettings, Tls
from hubqueue.hub.hub import Hub
from hubqueue.model.job import NewJob
from hubqueue.model.state import State
from support import central, certificates, edge
from support.bunqueue import Bunqueue
from support.hub_process import HubProcess
from support.proxy import Proxy, Uplink

QUEUE = "readings"
JOBS = 6000
BATCH = 20
PRIORITIES = (0, 0, 5, -3)
OUTAGE_S = 0.4
UPLINK_DELAY_S = 0.01  # each way: the jobs must not be through before the outages are
SETTINGS = {"batch": BATCH, "backoff_s": 0.02, "backoff_cap_s": 0.2, "connect_timeout_s": 0.5}
TOKEN = "a token of the central server"


@pytest.fixture(params=["hubqueue", "bunqueue"])
async def server(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[LinkSettings]:
    """The central server, a process of its own."""
    files = certificates.make(tmp_path / "tls")
    folder = tmp_path / "central"
    folder.mkdir()
    tls = Tls(str(files.ca))
    if request.param == "bunqueue":
        async with Bunqueue(folder, tokens=TOKEN, cert=files.cert, key=files.key) as server:
            yield LinkSettings("127.0.0.1", server.port, TOKEN, tls)
        return
    flags = ("--tcp-port", "0", "--auth-tokens", TOKEN, "--tls-cert", str(files.cert), "--tls-key", str(files.key))
    with HubProcess(folder, *flags) as process:
        yield LinkSettings("127.0.0.1", process.port, TOKEN, tls)


async def fill(file: Path) -> None:
    """The edge's queue before the first start: bigger data now and then."""
    async with await Hub.open(file) as hub:
        for start in range(0, JOBS, 500):
            jobs = [
                NewJob(
                    data=msgspec.msgpack.encode({"n": n, "pad": "x" * (20_000 if n % 50 == 0 else 200)}),
                    priority=PRIORITIES[n % len(PRIORITIES)],
                )
                for n in range(start, start + 500)
            ]
            await hub.enqueue(QUEUE, jobs)


async def progress(proxy: Proxy) -> None:
    """Until some batches more have gone up."""
    await proxy.wait_passed_up(proxy.passed_up + 30_000)


async def break_link(proxy: Proxy, number: int) -> None:
    """The number-th outage, from its beginning to its end."""
    kind = number % 5
    if kind == 0:
        proxy.cut()
    elif kind == 1:
        await proxy.set(Uplink.REFUSE)
        proxy.cut()
    elif kind == 2:
        await proxy.set(Uplink.SILENT)
    elif kind == 3:
        await proxy.set(Uplink.MUTE)
    else:
        proxy.cut_after(up=random.randint(1, 5000))
    await asyncio.sleep(OUTAGE_S)  # how long the outage lasts; nothing waits for it
    await proxy.set(Uplink.PASS)


async def all_settled(file: Path) -> Any:
    """The edge's own view, once nothing is under way any more."""
    async with await Hub.open(file) as hub:
        return await hub.counts(QUEUE), [
            job for state in State for job in (await hub.list_jobs(QUEUE, [state], limit=JOBS)).jobs
        ]


async def test_a_bad_uplink_and_two_kills_lose_nothing_and_double_nothing(tmp_path: Path, server: LinkSettings) -> None:
    file = tmp_path / "edge.db"
    await fill(file)
    assert server.tls is not None
    link = {"token": TOKEN, "ca_file": server.tls.ca_file, "ping_after_s": 0.1, "dead_after_s": 0.3}
    async with Proxy(server.port) as proxy:
        proxy.delay_s = UPLINK_DELAY_S
        url = f"tls://127.0.0.1:{proxy.port}"
        for outages, lost_answers in ((range(4), True), (range(4, 7), False)):
            async with edge.running(file, QUEUE, url, SETTINGS, link) as process:
                for number in outages:
                    await progress(proxy)
                    await break_link(proxy, number)
                await progress(proxy)
                if lost_answers:  # the central server takes a batch that the edge never hears of
                    await proxy.set(Uplink.MUTE)
                    await proxy.wait_passed_up(proxy.passed_up + 3000)
                process.kill()
                await process.wait()
            await proxy.set(Uplink.PASS)
        async with edge.running(file, QUEUE, url, SETTINGS, link) as process:
            for number in range(7, 10):
                await progress(proxy)
                await break_link(proxy, number)
            async with asyncio.timeout(90):
                assert await process.wait() == 0
    counts, jobs = await all_settled(file)
    assert (counts.failed, counts.completed, counts.waiting + counts.active) == (0, JOBS, 0)
    assert {(job.attempts, job.stall_count, job.lost_count) for job in jobs} == {(0, 0, 0)}
    arrived = await central.hand_out(server, QUEUE, JOBS + 1)
    numbers = [(job.priority, msgspec.msgpack.decode(job.data)["n"]) for job in arrived]
    assert len(numbers) == JOBS
    assert numbers == sorted(((PRIORITIES[n % 4], n) for n in range(JOBS)), key=lambda each: (-each[0], each[1]))
