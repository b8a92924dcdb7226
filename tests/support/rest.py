"""A real hub behind a real HTTP door with the REST routes, and a client for it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from aiohttp import ClientSession

from hubqueue.client.local import LocalHub
from hubqueue.commands.call import Operation
from hubqueue.hub.settings import HubSettings
from hubqueue.servers.http.rest.route import PREFIX
from hubqueue.servers.http.rest.serve import rest
from hubqueue.servers.http.server import HttpServer
from hubqueue.servers.http.settings import HttpSettings
from support.context import context_of


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: Any


@dataclass(frozen=True)
class Rest:
    """The port of a door, and a way to ask."""

    port: int
    client: ClientSession
    served: LocalHub | None = None  # where it lives in this process

    @property
    def hub(self) -> LocalHub:
        assert self.served is not None
        return self.served

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{PREFIX}"

    async def ask(self, method: str, path: str, json: Any = None, **options: Any) -> Answer:
        """Ask below /api/v1; the answer with its JSON decoded."""
        if json is not None:
            options["json"] = json
        async with self.client.request(method, self.url + path, **options) as response:
            content = await response.read()
            decoded = await response.json(content_type=None) if content else None
            return Answer(response.status, response.headers.copy(), decoded)

    async def get(self, path: str, **options: Any) -> Any:
        """The body of an answer that must be good."""
        return self._good(await self.ask("GET", path, **options))

    async def post(self, path: str, json: Any = None, **options: Any) -> Any:
        return self._good(await self.ask("POST", path, json, **options))

    def _good(self, answer: Answer) -> Any:
        assert answer.status < 300, answer
        return answer.body


@asynccontextmanager
async def client_of(port: int, token: str | None = None) -> AsyncIterator[Rest]:
    """A client for a door on this port."""
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with ClientSession(headers=headers) as client:
        yield Rest(port, client)


@asynccontextmanager
async def serving(
    path: Path,
    *,
    tokens: tuple[str, ...] = (),
    settings: HubSettings | None = None,
    operations: Mapping[str, Operation] = MappingProxyType({}),
) -> AsyncIterator[Rest]:
    """Open the hub and its door on a free port; close both at the end."""
    async with await LocalHub.open(path, settings) as hub:
        context = context_of(hub, tokens, operations=operations)
        server = HttpServer(context, HttpSettings(port=0, drain_s=0.5), [rest])
        await server.start()
        try:
            async with client_of(server.port, next(iter(tokens), None)) as client:
                yield replace(client, served=hub)
        finally:
            await server.close()
