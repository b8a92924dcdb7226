"""A real hub behind a real HTTP door with the dashboard on it, in this process, and a client that reads pages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp

from hubqueue.hub.hub import Hub
from hubqueue.servers.http.login import login_routes
from hubqueue.servers.http.server import HttpServer
from hubqueue.servers.http.settings import HttpSettings
from hubqueue.ui.pages import routes
from support.context import context_of


@dataclass(frozen=True)
class Pages:
    """The hub, and a client of its dashboard: `await (await pages.get("/")).text()`."""

    hub: Hub
    client: aiohttp.ClientSession
    url: str

    async def html(self, path: str, *, status: int = 200, swap: bool = False, **headers: str) -> str:
        """A page, or with swap the piece that htmx gets."""
        wanted = {"HX-Request": "true", **headers} if swap else headers
        async with self.client.get(self.url + path, headers=wanted) as answer:
            text = await answer.text()
            assert answer.status == status, f"{path}: {answer.status}\n{text[:2000]}"
            return text


@asynccontextmanager
async def pages_of(hub: Hub, *, tokens: tuple[str, ...] = (), trusted_proxy: str | None = None) -> AsyncIterator[Pages]:
    """Serve the dashboard of this hub on a free port."""
    settings = HttpSettings(port=0, drain_s=0.5, trusted_proxy=trusted_proxy)
    server = HttpServer(context_of(hub, tokens), settings, [login_routes, routes])
    await server.start()
    try:
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as client:
            yield Pages(hub, client, f"http://127.0.0.1:{server.port}")
    finally:
        await server.close()
