"""The listeners of a hub process, as configured: one authenticator, TCP, HTTP, and two for Home Assistant.

Built by app.py. A hub without HTTP does not carry its libraries. Rule: a hub that others can reach has a token; where
there is none, one is made at the first start and shown that once.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hubqueue import __version__
from hubqueue.commands.auth import Authenticator
from hubqueue.commands.call import CallContext, Operation
from hubqueue.commands.workers import Workers
from hubqueue.config.settings import HttpDoor, Ingress, Internal, TcpDoor, is_loopback
from hubqueue.hub.hub import Hub
from hubqueue.model.access import EVERYTHING, Grant, Scope
from hubqueue.servers.settings import TcpSettings, TlsFiles
from hubqueue.servers.tcp import TcpServer

if TYPE_CHECKING:
    from hubqueue.servers.http.server import HttpServer, Mount
    from hubqueue.servers.http.settings import HttpSettings

FIRST_TOKEN: Final = "first"

log = logging.getLogger(__name__)


class Listeners:
    """What listens for clients. They share one gate, so that a wrong token slows its sender down everywhere."""

    tcp: TcpServer
    http: HttpServer | None = None
    ingress: HttpServer | None = None
    internal: HttpServer | None = None

    def __init__(self, hub: Hub, tcp: TcpDoor, http: HttpDoor, drain_s: float) -> None:
        self._hub = hub
        self._tcp = tcp
        self._http = http
        self._drain_s = drain_s

    async def open(
        self, workers: Workers, operations: Mapping[str, Operation], mounts: Callable[[], list[Mount]]
    ) -> None:
        """Listen everywhere. mounts: what HTTP serves, asked for when there is any. Errors: ConfigError."""
        context = CallContext(self._hub, await self._authenticator(), workers, __version__, operations)
        tcp, http = self._tcp, self._http
        self.tcp = TcpServer(
            context,
            TcpSettings(
                host=tcp.host,
                port=tcp.port,
                tls=_tls(tcp.cert_file, tcp.key_file),
                max_connections=tcp.max_connections,
                drain_s=self._drain_s,
            ),
        )
        await self.tcp.start()
        if http.enabled:
            self.http = await self._open_http(context, mounts())
        if http.ingress is not None:
            self.ingress = await self._open_ingress(context, http.ingress, mounts())
        if http.internal is not None:
            self.internal = await self._open_internal(context, http.internal, mounts())

    @property
    def dashboard(self) -> str | None:
        """Where a browser finds the pages, seen from this machine."""
        if self.http is None:
            return None
        scheme = "https" if self._http.cert_file else "http"
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._http.host, self._http.host)
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.http.port}/"

    async def close(self) -> None:
        """Close them side by side; what runs may end. Safe to call twice, and when some were never opened."""
        servers = [getattr(self, name, None) for name in ("tcp", "http", "ingress", "internal")]
        await asyncio.gather(*(server.close() for server in servers if server is not None))

    async def _authenticator(self) -> Authenticator:
        given = dict(_given(token) for token in self._tcp.tokens)
        http = self._http
        hosts = [
            self._tcp.host,
            *([http.host] if http.enabled else []),
            *([http.internal.host] if http.internal else []),
        ]
        reachable = not all(map(is_loopback, hosts))
        if reachable and not given and self._hub.access.empty:
            await _make_first_token(self._hub)
        return Authenticator(given, asyncio.get_running_loop().time, self._hub.access, locked=reachable)

    async def _open_http(self, context: CallContext, mounts: list[Mount]) -> HttpServer:
        from hubqueue.servers.http.settings import HttpSettings

        http = self._http
        tls = _tls(http.cert_file, http.key_file)
        if tls is None and not is_loopback(http.host):
            log.warning("HTTP is open to others without encryption: tokens can be read on the way host=%s", http.host)
        settings = HttpSettings(
            host=http.host,
            port=http.port,
            tls=tls,
            names=frozenset(http.names),
            max_connections=http.max_connections,
            drain_s=self._drain_s,
        )
        return await _serve(context, settings, mounts)

    async def _open_ingress(self, context: CallContext, ingress: Ingress, mounts: list[Mount]) -> HttpServer:
        from hubqueue.servers.http.settings import HttpSettings

        settings = HttpSettings(
            host=ingress.host, port=ingress.port, trusted_proxy=ingress.trusted, drain_s=self._drain_s
        )
        return await _serve(context, settings, mounts)

    async def _open_internal(self, context: CallContext, internal: Internal, mounts: list[Mount]) -> HttpServer:
        from hubqueue.servers.http.settings import HttpSettings

        names, most = frozenset(self._http.names), self._http.max_connections
        settings = HttpSettings(
            host=internal.host, port=internal.port, names=names, max_connections=most, drain_s=self._drain_s
        )
        return await _serve(context, settings, mounts)


async def _serve(context: CallContext, settings: HttpSettings, mounts: list[Mount]) -> HttpServer:
    from hubqueue.servers.http.server import HttpServer

    server = HttpServer(context, settings, mounts)
    await server.start()
    return server


def _given(token: Any) -> tuple[str, Grant]:
    return (token, EVERYTHING) if isinstance(token, str) else (token.secret, token.grant)


def _tls(cert: Path | None, key: Path | None) -> TlsFiles | None:
    return TlsFiles(cert=cert, key=key) if cert and key else None


async def _make_first_token(hub: Hub) -> None:
    secret = await hub.run(lambda tx: hub.access.add(tx, FIRST_TOKEN, (Scope.ADMIN,)), durable=True)
    text = f"""
This hub can be reached from other machines and has no token yet, so one was made. It is good for everything,
and is shown this once:

    {secret}

The dashboard asks for it, clients send it. 'hubqueue token add' makes others, 'hubqueue token revoke' ends one.
"""
    print(text, file=sys.stderr, flush=True)  # not by the log: it may be collected and kept
