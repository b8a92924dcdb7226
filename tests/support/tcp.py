"""Fixtures: a real hub on a real file behind a real TCP listener, and clients that speak plain frames to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from hubqueue.client.local import LocalHub
from hubqueue.hub.settings import HubSettings
from hubqueue.servers.settings import TcpSettings
from hubqueue.servers.tcp import TcpServer
from support.context import context_of
from support.wire import WireClient

Connect = Callable[[], Awaitable[WireClient]]


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[LocalHub]:
    hub = await LocalHub.open(tmp_path / "hub.db", HubSettings(grace_s=0.3))
    yield hub
    await hub.close()


@pytest.fixture
def settings() -> TcpSettings:
    return TcpSettings(port=0, drain_s=0.5)


@pytest.fixture
def tokens() -> tuple[str, ...]:
    return ()


@pytest.fixture
async def server(hub: LocalHub, settings: TcpSettings, tokens: tuple[str, ...]) -> AsyncIterator[TcpServer]:
    server = TcpServer(context_of(hub, tokens, version="1.2.3"), settings)
    await server.start()
    yield server
    await server.close()


@pytest.fixture
async def connect(server: TcpServer) -> AsyncIterator[Connect]:
    clients: list[WireClient] = []

    async def open_one() -> WireClient:
        clients.append(await WireClient.open(server.port))
        return clients[-1]

    yield open_one
    for client in clients:
        await client.close()


@pytest.fixture
async def client(connect: Connect) -> WireClient:
    return await connect()
