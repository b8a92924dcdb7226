"""`python -m bench.crowd` (in tests/): what a crowd of WebSocket listeners costs those who enqueue.

A hub lives through 1,000 jobs a second in one queue. How fast can another client enqueue meanwhile, with nobody
listening, and with 2,000 connections that get summaries and 20 that get every event? Source: issue 4, engine-rules 32.
Rounds with and without the crowd alternate; what counts is the median of their ratios. The listeners only count what
they get, in a process of its own; it shares the machine's cores with the hub.
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
from typing import Final, Self, cast

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
CLIENTS: Final = 4  # that enqueue; with one the hub waits for it now and then
SETTLE_S: Final = 1.5  # for the first summaries, and for what a crowd that left leaves behind


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


@dataclass(frozen=True)
class Round:
    """One measurement. jobs_s: enqueued a second; cpu_s: the hub's per 100,000 jobs; busy: its share of a core."""

    jobs_s: float
    cpu_s: float
    busy: float


def measure(hub: HubProcess, frames: list[list[bytes]]) -> Round:
    """PUSH over several connections, each with 50 unanswered: so many that the hub is what limits."""
    jobs = sum(map(len, frames))
    cpu, begun = cpu_seconds(hub.pid), perf_counter()
    drive(Target(hub.port), [Requests(each, 50) for each in frames])
    took, cpu = perf_counter() - begun, cpu_seconds(hub.pid) - cpu
    return Round(jobs / took, cpu * 100_000 / jobs, cpu / took)


class Crowd:
    """`with Crowd(...)`: the process of the listeners, from the moment all have subscribed."""

    def __init__(self, port: int, summaries: int, events: int) -> None:
        spawn = get_context("spawn")
        self._pipe, theirs = spawn.Pipe()
        self._process = spawn.Process(target=crowd, args=(port, summaries, events, theirs), daemon=True)

    def __enter__(self) -> Self:
        self._process.start()
        assert self._pipe.recv() == "ready"
        sleep(SETTLE_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._pipe.send(False)
        self._process.terminate()
        self._process.join()
        sleep(SETTLE_S)

    def heard(self) -> Heard:
        self._pipe.send(True)
        heard: Heard = self._pipe.recv()
        return heard


@click.command(help=__doc__)
@click.option("--summaries", default=2000, show_default=True)
@click.option("--events", default=20, show_default=True)
@click.option("--jobs", default=100_000, show_default=True)
@click.option("--rounds", default=3, show_default=True)
def main(summaries: int, events: int, jobs: int, rounds: int) -> None:
    each = [pushes("readings", jobs // CLIENTS) for _ in range(CLIENTS)]
    alone, crowded = [], []
    with tempfile.TemporaryDirectory() as folder, HubProcess(Path(folder)) as hub:
        steady = get_context("spawn").Process(target=life, args=(hub.port,), daemon=True)
        steady.start()
        sleep(SETTLE_S)
        measure(hub, [part[:2000] for part in each])  # warm-up
        for _ in range(rounds):
            alone.append(measure(hub, each))
            show("nobody listens", alone[-1])
            with Crowd(hub.http_port, summaries, events) as listeners:
                before, begun = listeners.heard(), perf_counter()
                crowded.append(measure(hub, each))
                after, took = listeners.heard(), perf_counter() - begun
                show("a crowd listens", crowded[-1])
                megabytes, reads = (after.bytes - before.bytes) / took / 1e6, (after.reads - before.reads) / took
                print(f"  it took {megabytes:.1f} MB/s in {reads:,.0f} reads/s; hub {resident_mb(hub.pid):.0f} MB")
        steady.terminate()
        steady.join()
    speed = median(new.jobs_s / old.jobs_s for old, new in zip(alone, crowded, strict=True))
    cost = median(new.cpu_s / old.cpu_s for old, new in zip(alone, crowded, strict=True))
    share = median(new.busy - old.cpu_s * new.jobs_s / 100_000 for old, new in zip(alone, crowded, strict=True))
    print(f"with the crowd, median of {rounds}: enqueue speed x {speed:.2f}, hub CPU per job x {cost:.2f}")
    print(f"the crowd itself takes {share:.0%} of a core from the hub, however fast jobs come")


def show(what: str, measured: Round) -> None:
    print(
        f"{what:16}{measured.jobs_s:9,.0f} jobs/s, {measured.cpu_s:.2f} CPU s per 100,000 jobs, "
        f"hub at {measured.busy:.0%} of a core"
    )


if __name__ == "__main__":
    main()
