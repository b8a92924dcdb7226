"""The same behaviour near and far: `hub` is an embedded hub, then a client of one over TCP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import hubqueue
from hubqueue.api.access import Access


@pytest.fixture(params=["embedded"])
async def hub(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Access]:
    async with hubqueue.open(tmp_path / "edge.db") as embedded:
        yield embedded
