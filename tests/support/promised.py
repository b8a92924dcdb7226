"""A process that enqueues and completes jobs, durable and not, until its power is cut.

`python -m support.promised FILE`: the first line in gives the first number to use, and whether there are durable jobs
(they sync for the others too). The first line out lists what the file has. From then on each answer is a line with the
tick it came in: ["enqueued", durable, tick, numbers, ids] or ["completed", tick, numbers]; and so is each tick of the
loop's own clock: ["tick", number].
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from hubqueue.client.local import LocalHub
from hubqueue.hub.settings import HubSettings
from hubqueue.model.job import NewJob, Options
from hubqueue.model.outcome import Complete, Settlement
from hubqueue.model.state import State
from support.load import number_of
from support.mixed import tell

SYNC_INTERVAL_S: Final = 0.25
TICKS: Final = 5  # in a sync interval
DURABLE: Final = Options(durable=True)


async def main(path: Path) -> None:
    known = json.loads(sys.stdin.readline())
    async with await LocalHub.open(path, HubSettings(sync_interval_s=SYNC_INTERVAL_S)) as hub:
        tell({"found": [row for queue in ("plain", "durable") for row in await survey(hub, queue)]})
        for queue in ("plain", "durable"):
            await hub.obliterate(queue)
        numbers = itertools.count(known["first"])
        clock = Clock()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(clock.run())
            tasks.create_task(enqueue(hub, clock, numbers, "plain", 1))
            tasks.create_task(enqueue(hub, clock, numbers, "plain", 40))
            if known["durable"]:
                tasks.create_task(enqueue(hub, clock, numbers, "durable", 1))
                tasks.create_task(enqueue(hub, clock, numbers, "durable", 40))
                tasks.create_task(complete(hub, clock))


class Clock:
    """Ticks as the hub's own timers come: late on a busy machine, like the sync that they measure."""

    def __init__(self) -> None:
        self.tick = 0

    async def run(self) -> None:
        while True:
            await asyncio.sleep(SYNC_INTERVAL_S / TICKS)
            self.tick += 1
            tell(["tick", self.tick])


async def survey(hub: LocalHub, queue: str) -> list[tuple[int, str, bool]]:
    """(number, id, whether it is completed) of every job."""
    found = []
    cursor = None
    while True:
        page = await hub.list_jobs(queue, limit=1000, cursor=cursor)
        found += [(number_of(job.data), job.id, job.state is State.COMPLETED) for job in page.jobs]
        if page.cursor is None:
            return found
        cursor = page.cursor


async def enqueue(hub: LocalHub, clock: Clock, numbers: Iterator[int], queue: str, size: int) -> None:
    durable = queue == "durable"
    while True:
        ns = list(itertools.islice(numbers, size))
        # a durable job waits for the disk through its option, or through the door: half each
        option = DURABLE if durable and size == 1 else None
        jobs = [NewJob(data=msgspec.msgpack.encode({"n": n, "pad": "x" * 200}), options=option) for n in ns]
        ids = await hub.enqueue(queue, jobs, durable=durable and option is None)
        tell(["enqueued", durable, clock.tick, ns, ids])
        if not durable:
            await asyncio.sleep(0.0005)


async def complete(hub: LocalHub, clock: Clock) -> None:
    while True:
        leased = await hub.lease("durable", 10, owner="w", wait_ms=1000)
        await hub.settle([Settlement(each.job.id, each.token, Complete(b"\xc3")) for each in leased], durable=True)
        tell(["completed", clock.tick, [number_of(each.job.data) for each in leased]])


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
