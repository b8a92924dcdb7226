"""Home Assistant's way to an app's pages: a proxy that takes a path off, tells of it, and passes the rest on."""

from __future__ import annotations

import asyncio
import threading
from types import TracebackType
from typing import Any, Final, Self

import aiohttp
from aiohttp import web

from support.waiting import PATIENCE_S

PREFIX: Final = "/api/hassio_ingress/KuQ9-x_2Zt"
HOP: Final = {"connection", "transfer-encoding", "content-length", "content-encoding", "host"}


class IngressProxy:
    """`with IngressProxy(target) as proxy`: pages at `proxy.url`, which is below a path. Runs in its own thread."""

    def __init__(self, target: str, user: str = "Anna") -> None:
        self._target = target
        self._user = user
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="ingress-proxy")
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{PREFIX}"

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(PATIENCE_S)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _run(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        app = web.Application()
        app.router.add_route("*", PREFIX + "{path:/.*}", self._pass_on)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port = runner.addresses[0][1]
        async with aiohttp.ClientSession(auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()) as self._client:
            self._ready.set()
            await self._stop.wait()
        await runner.cleanup()

    async def _pass_on(self, request: web.Request) -> web.Response:
        kept = {name: value for name, value in request.headers.items() if name.lower() not in HOP}
        told = {"X-Ingress-Path": PREFIX, "X-Remote-User-Name": self._user}
        target = self._target + request.raw_path.removeprefix(PREFIX)
        options: dict[str, Any] = {"data": await request.read(), "allow_redirects": False}
        async with self._client.request(request.method, target, headers={**kept, **told}, **options) as answer:
            back = [(name, value) for name, value in answer.headers.items() if name.lower() not in HOP]
            encoding = answer.headers.get("Content-Encoding")
            if encoding:
                back.append(("Content-Encoding", encoding))
            return web.Response(body=await answer.read(), status=answer.status, headers=back)
