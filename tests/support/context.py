"""Doors for tests: what servers share, with tokens that are good for everything."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import MappingProxyType

from hubqueue.commands.auth import Authenticator
from hubqueue.commands.call import CallContext, Operation
from hubqueue.commands.workers import Workers
from hubqueue.hub.hub import Hub
from hubqueue.model.access import EVERYTHING


def context_of(
    hub: Hub,
    tokens: tuple[str, ...] = (),
    *,
    version: str = "1",
    operations: Mapping[str, Operation] = MappingProxyType({}),
) -> CallContext:
    """A door to this hub."""
    authenticator = Authenticator(dict.fromkeys(tokens, EVERYTHING), asyncio.get_running_loop().time, hub.access)
    return CallContext(hub, authenticator, Workers(hub.now_ms, hub.system), version, operations)
