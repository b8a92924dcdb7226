"""A process with one hub under mixed load, to be killed: `python -m support.mixed FILE`.

One JSON line in says what its predecessor's clients know; the first line out says what the hub has of it. From then
on every question and every answer is a line of its own, written before anything else happens.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
import sys
from pathlib import Path
from typing import Any

from hubqueue.client.local import LocalHub
from hubqueue.hub.settings import HubSettings
from hubqueue.model.state import State
from hubqueue.store import lists
from hubqueue.store.queues import EXPIRED
from hubqueue.store.tx import Tx
from support.load import Load, renew, send_again, survey


def tell(event: Any) -> None:
    line = memoryview(json.dumps(event).encode() + b"\n")
    while line:
        line = line[os.write(1, line) :]


async def main(path: Path) -> None:
    known = json.loads(sys.stdin.readline())
    hub = await LocalHub.open(path, HubSettings(**known["settings"]))
    events: list[Any] = []
    renewed = await renew(hub, [(id, token) for _, id, token in known["held"]])
    still_good = await renew(hub, known["stale"])
    await send_again(hub, events.append, known["unanswered"])
    tell(
        {
            "heard": events,
            "found": [dataclasses.astuple(each) for each in await survey(hub)],
            "renewed": [n for (n, _, _), good in zip(known["held"], renewed, strict=True) if good],
            "still_good": [token for (_, token), good in zip(known["stale"], still_good, strict=True) if good],
            "miscounted": await hub.run(miscounted),
        }
    )
    held = [lease for lease, good in zip(known["held"], renewed, strict=True) if good]
    await Load(hub, tell, known["first"], known["seed"]).run(held)


def miscounted(tx: Tx) -> list[str]:
    """Queues whose kept counters are not what a recount finds."""
    counted = lists.recount(tx)
    wrong = []
    for row in tx.queues.by_id.values():
        there = [counted.get((row.id, state), (0, 0))[0] for state in State]
        there.append(counted.get((row.id, State.WAITING), (0, 0))[1])
        if row.n[:EXPIRED] != there:
            wrong.append(f"{row!r} but {there} are there")
    return wrong


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
