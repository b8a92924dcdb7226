"""A process that loads one hub as fully as it can with so many jobs: `python -m support.flood FILE JOBS`.

A line once the hub is open, one when the jobs have been taken, and one with what was done at the end.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
from pathlib import Path

import uvloop

from hubqueue.hub.hub import Hub
from hubqueue.hub.settings import HubSettings
from hubqueue.model.bounds import QueueBounds
from hubqueue.model.job import NewJob
from hubqueue.model.outcome import Complete, Settlement
from support.mixed import tell

JOB = NewJob(data=b"\xc4\x64" + bytes(100))
BATCH = 100
BACKLOG = 20_000


class Flood:
    """Producers by the batch and one by one, durable ones among them, and workers."""

    def __init__(self, hub: Hub, jobs: int) -> None:
        self._hub = hub
        self._jobs = jobs
        self.enqueued = 0
        self.completed = 0

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            for _ in range(4):
                tasks.create_task(self._enqueue(BATCH, durable=False))
            for number in range(8):
                tasks.create_task(self._enqueue(1, durable=number % 4 == 0))
            for _ in range(2):
                tasks.create_task(self._work())

    def _on(self) -> bool:
        return self.enqueued < self._jobs

    async def _enqueue(self, size: int, *, durable: bool) -> None:
        jobs = [JOB] * size
        while self._on():
            if size > 1 and (await self._hub.counts("q")).waiting > BACKLOG:
                await asyncio.sleep(0.005)
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


async def main(path: Path, jobs: int) -> None:
    settings = HubSettings(bounds=QueueBounds(keep_completed=5000))
    async with await Hub.open(path, settings) as hub:
        flood = Flood(hub, jobs)
        tell("open")
        await flood.run()
        tell("done")
        tell({"enqueued": flood.enqueued, "completed": flood.completed, "groups": hub.store.groups})
        sys.stdin.readline()


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1]), int(sys.argv[2])))
