"""A forwarder of any kind as hubqueue.yaml would make it: in this process, or in one of its own, to be killed.

`python -m support.onward FILE QUEUE KEYS`: KEYS is a JSON object, the forwarder's keys but for its name and queue. It
prints `ready`, forwards, and ends by itself when nothing is left.
"""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import Process
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, cast

import msgspec

from hubqueue.client.local import LocalHub
from hubqueue.config.forwarders import onward
from hubqueue.config.settings import Onward
from hubqueue.forward.forwarder import Forwarder
from hubqueue.forward.sinks.maker import make_sink
from support.child import ready


def way_of(keys: Mapping[str, Any]) -> Onward:
    """What the configuration makes of these keys."""
    return cast("Onward", onward(Path())(keys))


def forwarder_of(hub: LocalHub, queue: str, keys: Mapping[str, Any], *, unknown_cap: int = 8) -> Forwarder:
    """Not yet started."""
    way = way_of(keys)
    settings = msgspec.structs.replace(way.settings, unknown_cap=unknown_cap)
    return Forwarder(hub, queue, make_sink(way.destination), settings, hub_id_of=hub.hub_id_of)


async def forward(file: str, queue: str, keys: Mapping[str, Any]) -> None:
    """Forward the queue of the hub in this file until it is empty."""
    async with await LocalHub.open(file) as hub, forwarder_of(hub, queue, keys) as forwarder:
        print("ready", flush=True)
        while True:
            status = await forwarder.status()
            if not status.waiting + status.delayed + status.in_flight:
                return
            await asyncio.sleep(0.05)


def running(file: Path, queue: str, keys: Mapping[str, Any]) -> AbstractAsyncContextManager[Process]:
    """That process, ready; killed with SIGKILL at the end if it still runs."""
    return ready("support.onward", file, queue, json.dumps(keys), wait_s=60)


if __name__ == "__main__":
    asyncio.run(forward(sys.argv[1], sys.argv[2], json.loads(sys.argv[3])))
