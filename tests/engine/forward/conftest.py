"""An edge and a central hub, both real, in this process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hubqueue.forward.fleet import Fleet
from hubqueue.hub.hub import Hub
from support.fleet import Edge
from support.served import Served, served


@pytest.fixture
async def edge(tmp_path: Path) -> AsyncIterator[Edge]:
    async with await Hub.open(tmp_path / "edge.db") as hub:
        fleet = Fleet(hub, (), grace_s=2.0)
        await fleet.start()
        yield Edge(hub, fleet)
        await fleet.stop()


@pytest.fixture
async def served_hub(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path / "central.db") as found:
        yield found
