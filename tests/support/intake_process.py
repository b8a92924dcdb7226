"""A hub that takes numbers in and works some off, to be killed: `python -m support.intake_process FILE`.

Most numbers are jobs of `small`, a queue that is soon full; every tenth is a message that no rule could read, and is
routed again a little later. Each is stored in one transaction with the number that comes next. Prints that number.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Final

import msgspec

from hubqueue.client.local import LocalHub
from hubqueue.hub.settings import HubSettings
from hubqueue.hub.verbs.feed import feed
from hubqueue.hub.verbs.ingest import UNROUTABLE
from hubqueue.ingest.outcome import Taken
from hubqueue.ingest.unread import unread_job
from hubqueue.model.bounds import QueueBounds
from hubqueue.model.decode import Payload
from hubqueue.model.job import NewJob
from hubqueue.model.outcome import Blob, Complete, Settlement
from hubqueue.mqtt.envelope import kept
from hubqueue.mqtt.reroute import RulesAgain
from hubqueue.mqtt.rules import Rule
from hubqueue.mqttclient.message import Message

QUEUE: Final = "small"
SETTINGS: Final = HubSettings(queues={QUEUE: QueueBounds(max_jobs=5)})
STEP: Final = 20  # numbers in one transaction
RULE: Final = Rule(topic="numbers", queue=QUEUE, payload=Payload("number"), shape="payload")


async def opened(path: Path) -> LocalHub:
    return await LocalHub.open(path, SETTINGS, router=RulesAgain([RULE]))  # type: ignore[arg-type]


async def next_number(hub: LocalHub) -> int:
    blob = await hub.blob("test", "next")
    return 0 if blob is None else int(blob)


async def come(hub: LocalHub, first: int) -> None:
    taken, dead = [], []
    for number in range(first, first + STEP):
        if number % 10:
            taken.append(Taken(QUEUE, NewJob(data=msgspec.msgpack.encode(number))))
        else:
            unread = unread_job(
                kept(Message("numbers", str(number).encode()), hub.now_ms(), rule="numbers -> elsewhere")
            )
            dead.append((unread, "undecodable", "it was read wrongly"))
    mark = Blob("test", "next", str(first + STEP).encode())
    await hub.run(lambda tx: feed(tx, taken, dead, [mark]))


async def work(hub: LocalHub, most: int) -> list[int]:
    """Work some off; the numbers."""
    leased = await hub.lease(QUEUE, most, owner="worker")
    await hub.settle([Settlement(each.job.id, each.token, Complete()) for each in leased])
    return [msgspec.msgpack.decode(each.job.data or b"") for each in leased]


async def main(path: Path) -> None:
    hub = await opened(path)
    number = await next_number(hub)
    while True:
        await come(hub, number)
        number += STEP
        await work(hub, 3)
        if not number % (5 * STEP):
            await hub.retry_dead(UNROUTABLE)
        await work(hub, 3)
        print(number, flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
