"""Where an HTTP server is and how to sign in, as a value. Imports no client library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, Self
from urllib.parse import SplitResult, unquote, urlsplit, urlunsplit

from hubqueue.client.address import Tls
from hubqueue.errors import Invalid

_FORM: Final = "write https://host/path, or http://host:8080/path for an unencrypted one"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One URL. token goes as `Authorization: <scheme> <token>`. The query may hold secrets, so it is never shown."""

    address: str = field(repr=False)
    url: str
    tls: Tls | None = None
    token: str | None = field(default=None, repr=False)
    scheme: Literal["Bearer", "Token"] = "Bearer"
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def from_url(cls, url: str, *, tls: Tls | None, query: str | None = None) -> Self:
        """user:password@ before the host is taken out of it. query: beside its own. Errors: Invalid."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.fragment:
            raise Invalid("this is not the address of an HTTP server", hint=_FORM)
        username = unquote(parts.username) if parts.username else None
        password = unquote(parts.password) if parts.password else None
        where = parts.netloc.rpartition("@")[2]
        whole = "&".join(filter(None, (parts.query, query)))
        address = urlunsplit((parts.scheme, where, parts.path or "/", whole, ""))
        shown = urlunsplit((parts.scheme, where, parts.path, "", ""))
        return cls(address=address, url=shown, tls=tls, username=username, password=password)

    @property
    def has_secret(self) -> bool:
        return self.token is not None or self.password is not None


def origin(url: str | SplitResult) -> tuple[str, str | None, int]:
    """Scheme, host and port: what a secret may be told."""
    parts = urlsplit(url) if isinstance(url, str) else url
    return parts.scheme, parts.hostname, parts.port or (443 if parts.scheme == "https" else 80)
