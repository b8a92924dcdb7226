"""`python -m bench.crowd` (in tests/): what a crowd of WebSocket listeners costs those who enqueue.

A hub lives through 1,000 jobs a second in one queue. How fast can another client enqueue meanwhile, with nobody
listening, and with 2,000 connections that get summaries and 20 that get every event? Source: issue 4, engine-rules 32.
The listeners only count what they get, in processes of their own; they share the machine's cores with the hub.
"""

from __future__ import annotations

import asyncio
import tempfile
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from statistics import median
from time import perf_counter, sleep
from typing import Any, Final, cast

import click
import uvloop

from bench.jobs import pushes
from bench.process import cpu_seconds, resident_mb
from hubqueue.client.load import Requests, Target, drive
from support.hub_process import HubProcess
from support.wire import WireClient

BUSY: Final = "busy"
PER_S: Final = 1000  # jobs that live through the busy queue
TICK_S: Final = 0.05
HANDSHAKE: Final = (
    b"GET /api/v1/ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
AT_ONCE: Final = 100  # connections opened side by side


@dataclass
class Heard:
    """What listeners got."""

    reads: int = 0
    bytes: int = 0


class Listener(asyncio.Protocol):
    """Shakes hands, subscribes, and counts."""

    def __init__(self, command: bytes, heard: Heard) -> None:
        self._command = command
        self._heard = heard
        self.ready = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(HANDSHAKE)

    def data_received(self, data: bytes) -> None:
        if not self.ready.done():
            assert data.startswith(b"HTTP/1.1 101"), data
            self._transport.write(bytes((0x81, 0x80 | len(self._command))) + bytes(4) + self._command)
            self.ready.set_result(None)
        if b"\x89\x00" in data[:2]:  # a ping by itself
            self._transport.write(b"\x8a\x80" + bytes(4))
        self._heard.reads += 1
        self._heard.bytes += len(data)


def crowd(port: int, summaries: int, events: int, pipe: Connection) -> None:
    """The process of the listeners: says when all have subscribed, and what they got, whenever it is asked."""

    async def run() -> None:
        heard = Heard()
        loop = asyncio.get_running_loop()
        commands = [b'{"cmd": "SubscribeSummaries", "queue": "busy"}'] * summaries
        commands += [b'{"cmd": "SubscribeEvents", "queue": "busy"}'] * events

        async def join(command: bytes) -> Listener:
            _, listener = await loop.create_connection(lambda: Listener(command, heard), "127.0.0.1", port)
            await listener.ready
            return listener

        listeners: list[Listener] = []
        for at in range(0, len(commands), AT_ONCE):
            listeners += await asyncio.gather(*(join(command) for command in commands[at : at + AT_ONCE]))
        pipe.send("ready")
        while await loop.run_in_executor(None, pipe.recv):
            pipe.send(heard)

    uvloop.run(run())


def life(port: int) -> None:
    """The process that lets jobs be pushed, leased and completed, PER_S of each a second."""

    async def run() -> None:
        loop = asyncio.get_running_loop()
        client = await WireClient.open(port)
        count = int(PER_S * TICK_S)
        due = loop.time()
        while True:
            await client.good("PUSHB", queue=BUSY, jobs=[{"name": "n", "data": {"v": 1}}] * count)
            pulled = await client.good("PULLB", queue=BUSY, owner="w", count=count)
            await client.good("ACKB", ids=[job["id"] for job in pulled["jobs"]], tokens=pulled["tokens"])
            due += TICK_S
            await asyncio.sleep(max(0.0, due - loop.time()))

    uvloop.run(run())


def enqueue_speed(hub: HubProcess, jobs: int, rounds: int) -> tuple[float, float]:
    """Jobs a second, PUSH with 50 unanswered, the median of some rounds; and the hub's processor seconds meanwhile."""
    frames = pushes("readings", jobs)
    speeds = []
    cpu = cpu_seconds(hub.pid)
    for _ in range(rounds):
        begun = perf_counter()
        drive(Target(hub.port), [Requests(frames, 50)])
        speeds.append(jobs / (perf_counter() - begun))
    return median(speeds), cpu_seconds(hub.pid) - cpu


@click.command(help=__doc__)
@click.option("--summaries", default=2000, show_default=True)
@click.option("--events", default=20, show_default=True)
@click.option("--jobs", default=50_000, show_default=True)
@click.option("--rounds", default=3, show_default=True)
def main(summaries: int, events: int, jobs: int, rounds: int) -> None:
    spawn = get_context("spawn")
    with tempfile.TemporaryDirectory() as folder, HubProcess(Path(folder)) as hub:
        steady = spawn.Process(target=life, args=(hub.port,), daemon=True)
        steady.start()
        sleep(2)
        alone, cpu_alone = enqueue_speed(hub, jobs, rounds)
        print(f"nobody listens:   {alone:9,.0f} jobs/s, hub {resident_mb(hub.pid):.0f} MB")
        ours, theirs = spawn.Pipe()
        listeners = spawn.Process(target=crowd, args=(hub.http_port, summaries, events, theirs), daemon=True)
        listeners.start()
        begun = perf_counter()
        assert ours.recv() == "ready"
        print(
            f"{summaries + events} connections after {perf_counter() - begun:.1f} s, hub {resident_mb(hub.pid):.0f} MB"
        )
        idle, seconds = cpu_seconds(hub.pid), perf_counter()
        sleep(5)
        share = (cpu_seconds(hub.pid) - idle) / (perf_counter() - seconds)
        print(f"{PER_S} jobs/s to the crowd alone take {share:.0%} of a core")
        before, crowd_cpu, begun = _heard(ours), cpu_seconds(listeners.pid or 0), perf_counter()
        crowded, cpu_crowded = enqueue_speed(hub, jobs, rounds)
        took = perf_counter() - begun
        after = _heard(ours)
        print(
            f"a crowd listens:  {crowded:9,.0f} jobs/s ({crowded / alone - 1:+.0%}), hub {resident_mb(hub.pid):.0f} MB"
        )
        print(
            f"hub processor seconds per 100,000 jobs: {cpu_alone * scale(jobs, rounds):.2f} alone, "
            f"{cpu_crowded * scale(jobs, rounds):.2f} with the crowd"
        )
        crowd_share = (cpu_seconds(listeners.pid or 0) - crowd_cpu) / took
        reads, megabytes = (after.reads - before.reads) / took, (after.bytes - before.bytes) / took / 1e6
        print(f"the crowd took {megabytes:.1f} MB/s in {reads:,.0f} reads/s and {crowd_share:.0%} of a core")
        ours.send(False)
        for process in (steady, listeners):
            process.terminate()
            process.join()


def scale(jobs: int, rounds: int) -> float:
    """From what all rounds took to what 100,000 jobs take."""
    return 100_000 / (jobs * rounds)


def _heard(pipe: Any) -> Heard:
    pipe.send(True)
    heard: Heard = pipe.recv()
    return heard


if __name__ == "__main__":
    main()
