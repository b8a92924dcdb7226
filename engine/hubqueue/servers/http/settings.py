"""Settings of the HTTP listener, decided at start."""

from __future__ import annotations

from dataclasses import dataclass

from hubqueue.servers.settings import TlsFiles


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """Where the HTTP listener listens, and what its clients may cost.

    Units: *_s seconds, *_bytes bytes.
    """

    host: str = "127.0.0.1"
    port: int = 6790
    tls: TlsFiles | None = None
    names: frozenset[str] = frozenset()  # what browsers may call it while nobody needs a token, beside loopback
    trusted_proxy: str | None = None  # ingress: only this address may connect, it needs no token, X-Ingress-Path counts
    max_body_bytes: int = 64 * 1024 * 1024
    max_connections: int = 4000
    request_s: float = 60.0  # a connection that has sent no whole request by then is cut
    heartbeat_s: float = 20.0  # a WebSocket that was silent so long is pinged; without an answer in half of it, cut
    auth_s: float = 60.0  # a WebSocket that has not shown a token by then is closed
    drain_s: float = 10.0  # at shutdown running requests get this long
