"""A PostgreSQL server as a value: where it is, as whom, and which table. Imports no driver."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import Final, Literal

from hubqueue.client.address import Tls
from hubqueue.client.tls import client_context
from hubqueue.forward.sinks.postgres.table import Table
from hubqueue.model.limits import WRITE_TIMEOUT_S

DEFAULT_PORT: Final = 5432

SslMode = Literal["disable", "prefer", "require", "verify-ca", "verify-full"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """ssl_mode: in the words of PostgreSQL. Units: seconds."""

    host: str
    database: str
    user: str
    port: int = DEFAULT_PORT
    password: str | None = field(default=None, repr=False)
    ssl_mode: SslMode = "prefer"
    tls: Tls = field(default_factory=Tls)
    connect_timeout_s: float = 10.0

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"postgresql://{self.user}@{host}:{self.port}/{self.database}"

    def encryption(self) -> ssl.SSLContext | Literal["prefer", False]:
        """As asyncpg takes it: `prefer` goes without if the server has none. Errors: Invalid for a bad file."""
        if self.ssl_mode == "disable":
            return False
        if self.ssl_mode == "prefer" and self.tls == Tls():
            return "prefer"
        context = client_context(self.tls)
        if self.ssl_mode != "verify-full":
            context.check_hostname = False
        if self.ssl_mode not in ("verify-full", "verify-ca"):
            context.verify_mode = ssl.CERT_NONE
        return context


@dataclass(frozen=True, slots=True)
class PostgresDestination:
    """One table of one server. durable: the server syncs a commit before it says ok, whatever its default is."""

    server: Server
    table: Table
    durable: bool = True
    write_timeout_s: float = WRITE_TIMEOUT_S

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def target(self) -> str | None:
        return self.table.name

    @property
    def encrypted(self) -> bool:
        return self.server.ssl_mode not in ("disable", "prefer")

    @property
    def has_secret(self) -> bool:
        return self.server.password is not None

    @property
    def tls(self) -> Tls:
        return self.server.tls
