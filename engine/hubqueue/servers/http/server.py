"""The HTTP listener: one listening port. REST and WebSocket below /api/v1; what is mounted serves pages for people."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from typing import Final

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from hubqueue.commands.call import CallContext
from hubqueue.errors import ConfigError
from hubqueue.libraries import require
from hubqueue.servers.http.guard import LISTENER, LOGINS, RUNNING, SETTINGS, guard
from hubqueue.servers.http.headers import security_headers
from hubqueue.servers.http.listener import Listener
from hubqueue.servers.http.logins import Logins
from hubqueue.servers.http.problem import problems
from hubqueue.servers.http.requestcontext import CONTEXT
from hubqueue.servers.http.running import Running
from hubqueue.servers.http.settings import HttpSettings
from hubqueue.servers.tls import server_context

log = logging.getLogger(__name__)


def _worth_a_line(record: logging.LogRecord) -> bool:
    """What no HTTP parser reads is answered with 400: a stranger shall not fill the log with it."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


requests_log: Final = logging.getLogger(f"{__name__}.requests")
requests_log.addFilter(_worth_a_line)

MAX_LINE_BYTES: Final = 64 * 1024  # of a request's first line: an id may be 1024 characters, twelve bytes each in a URL
IDLE_S: Final = 75.0  # a connection that is kept open for more requests
CUT_S: Final = 0.5  # how long the end of a request that is cut at shutdown may take

Mount = Callable[[web.Application], None]


class HttpServer:
    """Serves one port from `start` to `close`."""

    def __init__(self, context: CallContext, settings: HttpSettings, mounts: Iterable[Mount] = ()) -> None:
        """mounts: add routes to the application. Errors: ConfigError when the TLS files or the library are no good."""
        require("aiohttp")
        self._settings = settings
        tls = None if settings.tls is None else server_context(settings.tls)
        self._listener = Listener(settings, tls)
        self.app = web.Application(middlewares=[problems, guard], client_max_size=settings.max_body_bytes)
        self.app[CONTEXT] = context
        self.app[SETTINGS] = settings
        self.app[LISTENER] = self._listener
        self.app[LOGINS] = Logins(context.authenticator, context.hub.system, f"hubqueue_{context.hub.hub_id}")
        self.app.on_response_prepare.append(security_headers(framed=settings.trusted_proxy is not None))
        self._running = self.app[RUNNING] = Running()
        for mount in mounts:
            mount(self.app)
        self._end_s = 0.0
        self.app.on_shutdown.append(self._drain)
        self._runner: web.AppRunner | None = None

    @property
    def port(self) -> int:
        """The port that is listened on; with port 0 in the settings the one that was free."""
        assert self._runner is not None, "the server has not been started"
        return self._listener.port

    @property
    def connections(self) -> int:
        """How many there are."""
        server = None if self._runner is None else self._runner.server
        return 0 if server is None else len(server.connections)

    @property
    def requests(self) -> int:
        """How many are under way."""
        return len(self._running)

    async def start(self) -> None:
        """Listen. Errors: ConfigError when the address cannot be had."""
        settings = self._settings
        runner = web.AppRunner(
            self.app,
            access_log=None,
            logger=requests_log,
            handler_cancellation=True,
            shutdown_timeout=CUT_S,
            handle_signals=False,
            max_line_size=MAX_LINE_BYTES,
            keepalive_timeout=IDLE_S,
        )
        await runner.setup()
        assert runner.server is not None
        try:
            await self._listener.start(runner.server)
        except OSError as error:
            await runner.cleanup()
            hint = "stop the other program, or choose another port (0 takes a free one)"
            where = f"{settings.host}:{settings.port}"
            raise ConfigError(f"Cannot listen on {where}: {error.strerror or error}", hint=hint) from error
        self._runner = runner
        log.info("HTTP listener open port=%d tls=%s ingress=%s", self.port, bool(settings.tls), settings.trusted_proxy)

    async def close(self) -> None:
        """Take no more requests, let running ones end within the settings' drain_s; long-polls are answered at once.

        Safe to call twice.
        """
        runner, self._runner = self._runner, None
        if runner is not None:
            self._end_s = asyncio.get_running_loop().time() + self._settings.drain_s
            self._listener.close()
            self._running.close()
            await runner.cleanup()
            log.info("HTTP listener closed")

    async def _drain(self, app: web.Application) -> None:
        """Beside the streams and WebSockets, which end themselves."""
        if not await self._running.ended(self._end_s):
            log.warning("HTTP listener closes with requests under way connections=%d", self.connections)
