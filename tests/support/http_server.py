"""An HTTP server on a free port of the loopback, all of whose requests go to one function."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from aiohttp import web


@asynccontextmanager
async def serving(
    take: Callable[[web.Request], Awaitable[web.Response]], method: str = "POST", tls: ssl.SSLContext | None = None
) -> AsyncIterator[str]:
    """Its address, without a path. What it has not answered at the end is broken off."""
    app = web.Application(client_max_size=2**26)
    app.router.add_route(method, "/{tail:.*}", take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls).start()
    host, port = runner.addresses[0][:2]
    try:
        yield f"{'https' if tls else 'http'}://{host}:{port}"
    finally:
        await runner.cleanup()
