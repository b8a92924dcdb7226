"""Settings of the HTTP door, decided at start."""

from __future__ import annotations

from dataclasses import dataclass

from hubqueue.servers.settings import TlsFiles


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """Where the HTTP door listens, and what its clients may cost.

    Units: *_s seconds, *_bytes bytes.
    """

    host: str = "127.0.0.1"
    port: int = 6790
    tls: TlsFiles | None = None
    trusted_proxy: str | None = None  # ingress: only this address may connect, it needs no token, X-Ingress-Path counts
    max_body_bytes: int = 64 * 1024 * 1024
    max_connections: int = 4000
    drain_s: float = 10.0  # at shutdown running requests get this long
