"""An HTTP server that takes webhooks and answers as it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import msgspec
from aiohttp import web

from support.http_server import serving


@dataclass
class Receiver:
    """What came in, in order, and the statuses of the next answers (then 200)."""

    url: str = ""
    bodies: list[bytes] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    came: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def messages(self) -> list[dict[str, Any]]:
        return [msgspec.json.decode(body) for body in self.bodies]

    async def take(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.read())
        self.headers.append(dict(request.headers))
        self.came.set()
        status = self.statuses.pop(0) if self.statuses else 200
        where = {"Location": "/elsewhere"} if 300 <= status < 400 else {}
        return web.Response(status=status, headers=where)


@asynccontextmanager
async def receiver() -> AsyncIterator[Receiver]:
    """A receiver on a free port of the loopback."""
    found = Receiver()
    async with serving(found.take) as address:
        found.url = f"{address}/hook"
        yield found
