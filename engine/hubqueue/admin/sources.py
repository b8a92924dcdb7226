"""The sources of a running hub: whether each is connected, what it has counted, how much waits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hubqueue.admin.running import Running
from hubqueue.commands import operator as commands
from hubqueue.commands.call import Operation


def operations(running: Running) -> Mapping[str, Operation]:
    async def sources(command: commands.Sources) -> dict[str, Any]:
        found = [] if running.sources is None else running.sources.statuses()
        return {"sources": [status.shown() for status in found]}

    return {"Sources": sources}
