"""Settings of the TCP listener, decided at start."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsFiles:
    """PEM files: the certificate (with its chain), its key, and the CA that client certificates must come from."""

    cert: Path
    key: Path
    client_ca: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TcpSettings:
    """Where the TCP listener listens, and what its clients may cost.

    Units: *_s seconds.
    """

    host: str = "127.0.0.1"
    port: int = 6789
    tls: TlsFiles | None = None
    max_connections: int = 1000
    partial_frame_s: float = 60.0  # a frame that takes longer to arrive is an attack or a dead peer
    auth_s: float = 60.0  # a connection that has not authenticated by then is closed
    drain_s: float = 10.0  # at shutdown running commands get this long
