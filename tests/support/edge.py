"""A hub with one forwarder as a process of its own, to be killed.

`python -m support.edge FILE QUEUE URL SETTINGS LINK`: SETTINGS and LINK are JSON objects, of ForwardSettings and of
further arguments of LinkSettings.from_url. It prints `ready`, forwards, and ends by itself when nothing is left.
"""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import Process
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from hubqueue.client.address import LinkSettings
from hubqueue.client.local import LocalHub
from hubqueue.forward.forwarder import Forwarder
from hubqueue.forward.settings import ForwardSettings
from hubqueue.forward.sinks.hub import HubSink
from support.child import ready


async def forward(file: str, queue: str, url: str, settings: dict[str, Any], link: dict[str, Any]) -> None:
    """Forward the queue of the hub in this file until it is empty."""
    async with await LocalHub.open(file) as hub:
        sink = HubSink(LinkSettings.from_url(url, **link))
        tuning = ForwardSettings(**settings)
        async with Forwarder(hub, queue, sink, tuning, hub_id_of=hub.hub_id_of) as forwarder:
            print("ready", flush=True)
            while True:
                status = await forwarder.status()
                if not status.waiting + status.delayed + status.in_flight:
                    return
                await asyncio.sleep(0.1)


def running(
    file: Path, queue: str, url: str, settings: dict[str, Any], link: dict[str, Any]
) -> AbstractAsyncContextManager[Process]:
    """That process, ready; killed with SIGKILL at the end if it still runs."""
    return ready("support.edge", file, queue, url, json.dumps(settings), json.dumps(link), wait_s=20)


if __name__ == "__main__":
    asyncio.run(forward(sys.argv[1], sys.argv[2], sys.argv[3], json.loads(sys.argv[4]), json.loads(sys.argv[5])))
