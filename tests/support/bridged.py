"""A bridge in this process: on an own job file, behind a broker, with its links up."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from hubqueue.client.local import LocalHub
from hubqueue.hub.settings import HubSettings
from hubqueue.model.job import Job
from hubqueue.model.state import State
from hubqueue.mqtt.bridge import Bridge
from hubqueue.mqtt.rules import Rule
from hubqueue.mqttclient.broker import Broker
from support.waiting import until


@asynccontextmanager
async def bridged(
    hub: LocalHub, port: int, rules: Sequence[Rule], *, invoke: bool = True, **more: object
) -> AsyncIterator[Bridge]:
    """A bridge whose links are up."""
    settings = {"port": port, "backoff_first_s": 0.05, "backoff_max_s": 0.2, **more}
    bridge = Bridge(hub, Broker(**settings), rules, version="1.2.3", invoke=invoke)  # type: ignore[arg-type]
    await bridge.start()
    try:
        await until(lambda: all(state.up for state in bridge.links.values()))
        yield bridge
    finally:
        await bridge.close()


@asynccontextmanager
async def opened(folder: Path, settings: HubSettings | None = None) -> AsyncIterator[LocalHub]:
    async with await LocalHub.open(folder / "hub.db", settings) as hub:
        yield hub


async def jobs(hub: LocalHub, queue: str, *states: State) -> list[Job]:
    """All of them, page by page."""
    page = await hub.list_jobs(queue, states, limit=1000)
    found = page.jobs
    while page.cursor is not None:
        page = await hub.list_jobs(queue, states, limit=1000, cursor=page.cursor)
        found += page.jobs
    return found


def data(job: Job) -> Any:
    assert job.data is not None
    return msgspec.msgpack.decode(job.data)
