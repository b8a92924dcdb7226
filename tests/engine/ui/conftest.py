"""The dashboard of a hub on a fresh file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hubqueue.hub.hub import Hub
from support.pages import Pages, pages_of


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    async with await Hub.open(tmp_path / "hub.db") as hub:
        yield hub


@pytest.fixture
async def pages(hub: Hub) -> AsyncIterator[Pages]:
    async with pages_of(hub) as pages:
        yield pages
