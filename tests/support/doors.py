"""Doors for tests: what servers share, with tokens that are good for everything."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import MappingProxyType

from hubqueue.hub.hub import Hub
from hubqueue.model.access import EVERYTHING
from hubqueue.servers.auth import Gate
from hubqueue.servers.door import Door, Operation
from hubqueue.servers.workers import Workers


def door_of(
    hub: Hub,
    tokens: tuple[str, ...] = (),
    *,
    version: str = "1",
    operations: Mapping[str, Operation] = MappingProxyType({}),
) -> Door:
    """A door to this hub."""
    gate = Gate(dict.fromkeys(tokens, EVERYTHING), asyncio.get_running_loop().time, hub.access)
    return Door(hub, gate, Workers(hub.now_ms), version, operations)
