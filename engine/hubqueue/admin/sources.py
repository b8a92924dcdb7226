"""The sources of a running hub: whether each is connected, what it has counted, how much waits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hubqueue.servers.door import Operation
from hubqueue.wire.commands import operate as wire

if TYPE_CHECKING:
    from hubqueue.app import App


def operations(app: App) -> Mapping[str, Operation]:
    async def sources(command: wire.Sources) -> dict[str, Any]:
        found = [] if app.sources is None else app.sources.statuses()
        return {"sources": [status.shown() for status in found]}

    return {"Sources": sources}
