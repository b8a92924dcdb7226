"""The same behaviour near and far: `hub` is an embedded hub, then a client of one over TCP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import hubqueue
from hubqueue.api.access import Access
from support.served import served


@pytest.fixture(params=["embedded", "tcp"])
async def hub(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Access]:
    if request.param == "embedded":
        async with hubqueue.open(tmp_path / "edge.db") as embedded:
            yield embedded
    else:
        async with served(tmp_path / "edge.db") as there, hubqueue.Client(there.url) as client:
            yield client
