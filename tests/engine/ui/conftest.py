"""The dashboard of a hub on a fresh file."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hubqueue.client.local import LocalHub
from support.pages import Pages, pages_of


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[LocalHub]:
    async with await LocalHub.open(tmp_path / "hub.db") as hub:
        yield hub


@pytest.fixture
async def pages(hub: LocalHub) -> AsyncIterator[Pages]:
    async with pages_of(hub) as pages:
        yield pages
