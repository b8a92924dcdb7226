"""An edge and a central hub, both real, in this process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import pytest

from hubqueue.client.local import LocalHub
from hubqueue.forward.forwarders import Forwarders
from hubqueue.forward.sink import Sink
from support.fleet import Edge
from support.postgres import Postgres
from support.served import Served, served

_numbers = count()


@pytest.fixture
async def edge(tmp_path: Path) -> AsyncIterator[Edge]:
    async with await LocalHub.open(tmp_path / "edge.db") as hub:
        fleet = Forwarders(hub, (), grace_s=2.0)
        await fleet.start()
        yield Edge(hub, fleet)
        await fleet.stop()


@pytest.fixture
async def served_hub(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path / "central.db") as found:
        yield found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """One PostgreSQL for all tests of a module; each has tables of its own."""
    server = Postgres(tmp_path_factory.mktemp("postgres"))
    asyncio.run(server.start())
    yield server
    server.close()


@pytest.fixture
def table() -> str:
    """A name that no other test has."""
    return f"t{next(_numbers)}"


@pytest.fixture
async def sinks() -> AsyncIterator[list[Sink]]:
    """What is to be closed at the end."""
    sinks: list[Sink] = []
    yield sinks
    for sink in sinks:
        await sink.close()
