"""The TCP listener: listens, keeps the connections, and lets them go when the hub stops.

Built by app.py and by embedded hubs that want to be reached; serves any number of clients on one event loop.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from hubqueue.commands.call import CallContext
from hubqueue.commands.notifications import NotificationEncoder
from hubqueue.errors import ConfigError
from hubqueue.servers.connection import Connection
from hubqueue.servers.replies import notification_frame
from hubqueue.servers.settings import TcpSettings
from hubqueue.servers.tls import server_context

SWEEP_S: Final = 1.0  # how often connections are looked at for frames that never end
FLUSH_S: Final = 1.0  # at the end the last replies get this long to leave
BACKLOG: Final = 1024  # connections not yet accepted: a fleet that comes back all at once
HANDSHAKE_S: Final = 10.0  # for TLS

log = logging.getLogger(__name__)


class TcpServer:
    """One listening port."""

    def __init__(self, context: CallContext, settings: TcpSettings) -> None:
        """Errors: ConfigError when the TLS files are no good."""
        self._settings = settings
        self._tls = None if settings.tls is None else server_context(settings.tls)
        self._loop = asyncio.get_running_loop()
        self._context = context
        self._encoder = NotificationEncoder(notification_frame)
        self._connections: dict[Connection, None] = {}  # a set in order of arrival
        self._server: asyncio.Server | None = None
        self._sweeper: asyncio.TimerHandle | None = None
        self._changed = asyncio.Event()

    @property
    def port(self) -> int:
        """The port that is listened on; with port 0 in the settings the one that was free."""
        assert self._server is not None, "the server has not been started"
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    @property
    def connections(self) -> int:
        """How many clients there are."""
        return len(self._connections)

    async def start(self) -> None:
        """Listen. Errors: ConfigError when the address cannot be had."""
        where = f"{self._settings.host}:{self._settings.port}"
        try:
            self._server = await self._loop.create_server(
                lambda: Connection(self._context, self._encoder, self._opened, self._closed),
                self._settings.host,
                self._settings.port,
                ssl=self._tls,
                backlog=BACKLOG,
                ssl_handshake_timeout=None if self._tls is None else HANDSHAKE_S,
            )
        except OSError as error:
            hint = "stop the other program, or choose another port (0 takes a free one)"
            raise ConfigError(f"Cannot listen on {where}: {error.strerror or error}", hint=hint) from error
        self._sweeper = self._loop.call_later(SWEEP_S, self._sweep)
        log.info(
            "TCP listener open port=%d tls=%s open=%s", self.port, bool(self._tls), self._context.authenticator.open
        )

    async def close(self) -> None:
        """Take no more clients, let running work end within the settings' drain_s, then end every connection.

        Jobs that are still leased then are given back and not counted. Safe to call twice.
        """
        if self._server is None:
            return
        server, self._server = self._server, None
        server.close()
        try:
            async with asyncio.timeout(self._settings.drain_s):
                while not all(connection.idle for connection in self._connections):
                    await self._moved()
        except TimeoutError:
            log.warning("TCP listener closes with work under way connections=%d", len(self._connections))
        for connection in tuple(self._connections):
            connection.stopping = True
            connection.close()
        try:
            async with asyncio.timeout(FLUSH_S):
                while self._connections:
                    await self._moved()
        except TimeoutError:
            for connection in tuple(self._connections):
                connection.cut("the hub stops")
        if self._sweeper is not None:
            self._sweeper.cancel()
        log.info("TCP listener closed")

    async def _moved(self) -> None:
        """A connection ended, or a little time has passed in which one may have become idle."""
        self._changed.clear()
        try:
            async with asyncio.timeout(0.05):
                await self._changed.wait()
        except TimeoutError:
            pass

    def _opened(self, connection: Connection) -> bool:
        self._connections[connection] = None
        return len(self._connections) <= self._settings.max_connections

    def _closed(self, connection: Connection) -> None:
        self._connections.pop(connection, None)
        self._changed.set()

    def _sweep(self) -> None:
        now = self._loop.time()
        for connection in tuple(self._connections):
            since = connection.partial_since
            if since is not None and now - since > self._settings.partial_frame_s:
                connection.cut("a frame takes too long to arrive")
            elif connection.grant is None and now - connection.since > self._settings.auth_s:
                connection.cut("it does not authenticate")
        self._sweeper = self._loop.call_later(SWEEP_S, self._sweep)
