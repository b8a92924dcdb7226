"""The listening socket of the HTTP listener: bounds its connections, and cuts those that never send a whole request.

aiohttp has neither bound. Every connection counts until it is gone; a request that has arrived is heard (`heard`).
"""

from __future__ import annotations

import asyncio
import ssl
from typing import Final, cast

from aiohttp import web

from hubqueue.servers.http.settings import HttpSettings

BACKLOG: Final = 1024  # connections not yet accepted: a fleet that comes back all at once
HANDSHAKE_S: Final = 10.0  # for TLS
SWEEP_S: Final = 1.0
FULL: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nServer: hubqueue\r\nConnection: close\r\nRetry-After: 5\r\n"
    b"Cache-Control: no-store\r\nContent-Length: 0\r\n\r\n"
)


class Listener:
    """Accepts connections for an aiohttp server, from `start` to `close`."""

    def __init__(self, settings: HttpSettings, context: ssl.SSLContext | None) -> None:
        self._settings = settings
        self._context = context
        self._loop = asyncio.get_running_loop()
        self._unheard: dict[asyncio.Protocol, float] = {}
        self._socket: asyncio.Server | None = None
        self._sweeper: asyncio.TimerHandle | None = None

    @property
    def port(self) -> int:
        """The port that is listened on."""
        assert self._socket is not None, "it has not been started"
        port: int = self._socket.sockets[0].getsockname()[1]
        return port

    async def start(self, server: web.Server) -> None:
        """Errors: OSError when the address cannot be had."""

        def connected() -> asyncio.Protocol:
            if len(server.connections) >= self._settings.max_connections:
                return _Full()
            protocol = server()
            self._unheard[protocol] = self._loop.time()
            return protocol

        self._socket = await self._loop.create_server(
            connected,
            self._settings.host,
            self._settings.port,
            ssl=self._context,
            backlog=BACKLOG,
            ssl_handshake_timeout=None if self._context is None else HANDSHAKE_S,
        )
        self._sweeper = self._loop.call_later(SWEEP_S, self._sweep)

    def heard(self, request: web.BaseRequest) -> None:
        """A request has arrived on this connection."""
        self._unheard.pop(request.protocol, None)

    def close(self) -> None:
        """Accept no more connections."""
        if self._socket is not None:
            self._socket.close()
        if self._sweeper is not None:
            self._sweeper.cancel()
        self._unheard.clear()

    def _sweep(self) -> None:
        now = self._loop.time()
        for protocol, since in tuple(self._unheard.items()):
            transport: asyncio.Transport | None = getattr(protocol, "transport", None)
            if now - since > self._settings.request_s or (transport is None and now - since > HANDSHAKE_S):
                del self._unheard[protocol]
                if transport is not None:
                    transport.abort()
        self._sweeper = self._loop.call_later(SWEEP_S, self._sweep)


class _Full(asyncio.Protocol):
    """A connection that there is no room for."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        out = cast(asyncio.Transport, transport)
        out.write(FULL)
        out.close()
