"""A process that loads one hub as fully as it can for a while: `python -m support.flood FILE SECONDS`.

One line out: what it did, and how far the event loop lagged behind (a timer every 5 ms; ms, sorted percentiles).
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from pathlib import Path

import uvloop

from hubqueue.hub.hub import Hub
from hubqueue.hub.settings import HubSettings
from hubqueue.model.bounds import QueueBounds
from hubqueue.model.job import NewJob
from hubqueue.model.outcome import Complete, Settlement
from support.mixed import tell

TICK_S = 0.005
JOB = NewJob(data=b"\xc4\x64" + bytes(100))
BATCH = 100
BACKLOG = 20_000


class Flood:
    """Producers by the batch and one by one, durable ones among them, and workers."""

    def __init__(self, hub: Hub, seconds: float) -> None:
        self._hub = hub
        self._end_s = time.monotonic() + seconds
        self.enqueued = 0
        self.completed = 0
        self.lags_ms: list[float] = []

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._watch())
            for _ in range(4):
                tasks.create_task(self._enqueue(BATCH, durable=False))
            for number in range(8):
                tasks.create_task(self._enqueue(1, durable=number % 4 == 0))
            for _ in range(2):
                tasks.create_task(self._work())

    def _on(self) -> bool:
        return time.monotonic() < self._end_s

    async def _watch(self) -> None:
        while self._on():
            due_s = time.monotonic() + TICK_S
            await asyncio.sleep(TICK_S)
            self.lags_ms.append(max(0.0, time.monotonic() - due_s) * 1000)

    async def _enqueue(self, size: int, *, durable: bool) -> None:
        jobs = [JOB] * size
        while self._on():
            if size > 1 and (await self._hub.counts("q")).waiting > BACKLOG:
                await asyncio.sleep(TICK_S)
                continue
            await self._hub.enqueue("q", jobs, durable=durable)
            self.enqueued += size

    async def _work(self) -> None:
        for turn in itertools.count():
            if not self._on():
                return
            leased = await self._hub.lease("q", BATCH, owner="w", wait_ms=100)
            ends = [Settlement(each.job.id, each.token, Complete()) for each in leased]
            await self._hub.settle(ends, durable=turn % 10 == 0)
            self.completed += len(leased)


async def main(path: Path, seconds: float) -> None:
    settings = HubSettings(bounds=QueueBounds(keep_completed=5000))
    async with await Hub.open(path, settings) as hub:
        flood = Flood(hub, seconds)
        await flood.run()
        lags = sorted(flood.lags_ms)
        tell(
            {
                "enqueued": flood.enqueued,
                "completed": flood.completed,
                "groups": hub.store.groups,
                "lag_ms": {f"p{at}": round(lags[int(len(lags) * at / 100)], 1) for at in (50, 90, 99)},
                "most_ms": round(lags[-1], 1),
            }
        )


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1]), float(sys.argv[2])))
