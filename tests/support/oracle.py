"""An HTTP server that is asked about devices: it counts, can be slow, fail, hang, or be gone."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web


@dataclass
class Oracle:
    """Answers `{"of": TAIL, "n": how often it was asked}`, or as `status` and `body` say.

    held: while it is cleared, nothing is answered. gone: connections are cut. most: how many were asked at once.
    """

    port: int = 0
    tls: ssl.SSLContext | None = None
    asked: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    status: int = 200
    body: bytes | None = None
    held: asyncio.Event = field(default_factory=asyncio.Event)
    gone: bool = False
    waiting: int = 0
    most: int = 0
    _runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}/"

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/{tail:.*}", self._answer)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self.tls).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _answer(self, request: web.Request) -> web.Response:
        if self.gone:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        self.asked.append(request.raw_path)
        self.headers.append(dict(request.headers))
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        try:
            await self.held.wait()
        finally:
            self.waiting -= 1
        if self.body is not None or self.status != 200:
            where = {"Location": self.url} if 300 <= self.status < 400 else {}
            return web.Response(status=self.status, body=self.body, headers=where)
        return web.json_response({"of": request.match_info["tail"], "n": len(self.asked), "in": {"deep": [1]}})


@asynccontextmanager
async def oracle(tls: ssl.SSLContext | None = None) -> AsyncIterator[Oracle]:
    """One that answers, on a free port of the loopback."""
    found = Oracle(tls=tls)
    found.held.set()
    await found.start()
    try:
        yield found
    finally:
        found.held.set()
        await found.stop()
