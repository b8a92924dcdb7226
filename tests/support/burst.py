"""A burst of MQTT messages on a real hub behind a real Mosquitto, and what it does to the jobs of another queue.

Used by the test of the burst and by `python -m bench.burst`, which reports the figures.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from time import perf_counter
from typing import Any, Final

import msgspec

from bench.process import cpu_seconds, peak_mb
from support.child import Child
from support.devices import allow_connections
from support.hub_process import HubProcess
from support.mosquitto import Mosquitto
from support.mqtt import publish
from support.waiting import until
from support.wire import WireClient

BURST: Final = "readings"
OTHER: Final = "orders"
PROBE_EVERY_S: Final = 0.04
PATIENCE_S: Final = 600.0
BROKER: Final = (
    "max_queued_messages 0",  # else Mosquitto drops what it has acknowledged to the devices
    "max_inflight_messages 1000",
    "log_type error",  # a line for each packet would be most of its work
)
CONFIG: Final = """
data_path: hub.db
tcp: {{port: 0}}
mqtt:
  url: mqtt://127.0.0.1:{port}
  rules:
    - topic: "sensors/{{device}}/climate"
      queue: readings
    - topic: ready
      queue: ready
"""


@dataclass
class Course:
    """How a burst went. Each job sent to another queue until a waiting worker has its lease: latencies_s, and
    overtaken: how many messages of the burst were stored meanwhile, which does not depend on the machine.
    """

    messages: int
    seconds: float
    hub_cpu_s: float
    broker_cpu_s: float
    hub_peak_mb: float
    latencies_s: list[float] = field(default_factory=list)
    overtaken: list[int] = field(default_factory=list)

    @property
    def p99_overtaken(self) -> float:
        return quantiles(self.overtaken, n=100, method="inclusive")[98]

    @property
    def per_s(self) -> float:
        return self.messages / self.seconds

    @property
    def p50_s(self) -> float:
        return quantiles(self.latencies_s, n=2)[0]

    @property
    def p99_s(self) -> float:
        return quantiles(self.latencies_s, n=100, method="inclusive")[98]

    def __str__(self) -> str:
        return (
            f"{self.messages} messages in {self.seconds:.1f} s: {self.per_s:,.0f}/s, "
            f"processor time of each {self.hub_cpu_s / self.messages * 1e6:.1f} us in the hub "
            f"({self.messages / self.hub_cpu_s:,.0f}/s per core) and {self.broker_cpu_s / self.messages * 1e6:.1f} us "
            f"in Mosquitto ({self.messages / (self.hub_cpu_s + self.broker_cpu_s):,.0f}/s per core for both); "
            f"hub at most {self.hub_peak_mb:.0f} MB; "
            f"another queue's jobs: p50 {self.p50_s * 1000:.1f} ms, p99 {self.p99_s * 1000:.1f} ms, "
            f"longest {max(self.latencies_s) * 1000:.0f} ms of {len(self.latencies_s)}; "
            f"p99 of the messages stored meanwhile {self.p99_overtaken:.0f}"
        )


class Probe:
    """A producer and a worker of another queue: at most one job every PROBE_EVERY_S, each timed until it is leased.

    The next one waits until the worker is free: jobs that wait for each other tell of the machine, not of the hub.
    """

    def __init__(self, producer: WireClient, worker: WireClient) -> None:
        self._producer = producer
        self._worker = worker
        self._sent: dict[int, tuple[float, int]] = {}
        self._free = asyncio.Event()
        self.latencies_s: list[float] = []
        self.overtaken: list[int] = []

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._produce())
            tasks.create_task(self._work())

    async def _produce(self) -> None:
        number, due = 0, perf_counter()
        while True:
            stored_before = await waiting(self._producer)
            self._sent[number] = perf_counter(), stored_before
            self._free.clear()
            await self._producer.good("PUSH", queue=OTHER, name="order", data={"n": number})
            await self._free.wait()
            number += 1
            due = max(due + PROBE_EVERY_S, perf_counter())
            await asyncio.sleep(due - perf_counter())

    async def _work(self) -> None:
        while True:
            pulled = await self._worker.good("PULL", queue=OTHER, owner="probe", timeout=5000)
            if pulled["job"] is not None:
                sent_s, stored_before = self._sent.pop(pulled["job"]["data"]["n"])
                self.latencies_s.append(perf_counter() - sent_s)
                self.overtaken.append(await waiting(self._worker) - stored_before)
                await self._worker.good("ACK", id=pulled["job"]["id"], token=pulled["token"], removeOnComplete=True)
                self._free.set()


@asynccontextmanager
async def stage(folder: Path, devices: int) -> AsyncIterator[tuple[Mosquitto, HubProcess]]:
    """Broker and hub, and the first message through both: the burst does not measure their start."""
    allow_connections(devices)
    config = folder / "hubqueue.yaml"
    async with Mosquitto(folder, lines=BROKER) as broker:
        config.write_text(CONFIG.format(port=broker.port))
        with HubProcess(folder, config=config) as hub:
            client = await WireClient.open(hub.port)

            async def through() -> bool:
                await publish(broker.port, [("ready", b"1")])
                return (await waiting(client, "ready")) > 0

            await until(through)
            await client.close()
            yield broker, hub


async def waiting(client: WireClient, queue: str = BURST) -> int:
    counts = (await client.good("GetJobCounts", queue=queue))["counts"]
    return int(counts["waiting"])


async def burst(broker: Mosquitto, hub: HubProcess, devices: int, each: int) -> Course:
    """Let the devices loose; until every message is a job."""
    clients = [await WireClient.open(hub.port) for _ in range(3)]
    probe = Probe(*clients[:2])
    async with Child("support.devices", broker.port, devices, each) as flood:
        assert await flood.hear() == "ready"
        probing = asyncio.create_task(probe.run())
        begun, hub_s, broker_s = perf_counter(), cpu_seconds(hub.pid), cpu_seconds(broker.pid)
        flood.say("go")

        async def arrived() -> bool:
            assert not probing.done(), probing.exception()
            await asyncio.sleep(0.2)
            return (await waiting(clients[2])) >= devices * each

        await until(arrived, PATIENCE_S)
        seconds = perf_counter() - begun
        hub_s, broker_s = cpu_seconds(hub.pid) - hub_s, cpu_seconds(broker.pid) - broker_s
        probing.cancel()
        await asyncio.gather(probing, return_exceptions=True)
        assert await flood.hear(PATIENCE_S) == "done"
    for client in clients:
        await client.close()
    return Course(devices * each, seconds, hub_s, broker_s, peak_mb(hub.pid), probe.latencies_s, probe.overtaken)


def stored(file: Path) -> Counter[int]:
    """How often each message's id stands in the queue, read from the file of a hub that has ended."""
    with closing(sqlite3.connect(file)) as db:
        rows = db.execute("SELECT data FROM job JOIN queue ON queue.id = job.queue WHERE queue.name = ?", (BURST,))
        return Counter(_id(data) for (data,) in rows)


def _id(data: bytes) -> Any:
    return msgspec.msgpack.decode(data)["payload"]["id"]
