"""A hub at the edge that makes readings and forwards them at once, until its power is cut.

`python -m support.leaving FILE`: the first line in says where to forward to and the first number to use. The first line
out lists the numbers that the file has.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Final

import msgspec

from hubqueue.client.local import LocalHub
from hubqueue.hub.settings import HubSettings
from hubqueue.model.job import NewJob
from support.load import number_of
from support.mixed import tell
from support.onward import forwarder_of

QUEUE: Final = "readings"
SYNC_INTERVAL_S: Final = 0.5
EVERY_S: Final = 0.005  # so that some are always in the file and not yet on the disk


async def main(path: Path) -> None:
    known = json.loads(sys.stdin.readline())
    async with await LocalHub.open(path, HubSettings(sync_interval_s=SYNC_INTERVAL_S)) as hub:
        tell({"found": await survey(hub)})
        number = known["first"]
        async with forwarder_of(hub, QUEUE, {"to": known["to"], "backoff": "10ms"}):
            while True:
                await hub.enqueue(QUEUE, [NewJob(data=msgspec.msgpack.encode({"n": number}))])
                number += 1
                await asyncio.sleep(EVERY_S)


async def survey(hub: LocalHub) -> list[int]:
    """The numbers of all jobs, whatever became of them."""
    found: list[int] = []
    cursor = None
    while True:
        page = await hub.list_jobs(QUEUE, limit=1000, cursor=cursor)
        found += [number_of(job.data) for job in page.jobs]
        if page.cursor is None:
            return found
        cursor = page.cursor


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
