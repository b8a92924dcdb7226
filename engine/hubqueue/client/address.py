"""Where a hub is and how to speak to it: everything a session needs to know before it starts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Self
from urllib.parse import urlsplit

from hubqueue.errors import Invalid

DEFAULT_PORT: Final = 6789


@dataclass(frozen=True, slots=True)
class Tls:
    """How the other side's certificate is checked, and which one is shown to it.

    A private CA (file or text) replaces the system's. cert_text: the certificate with its chain and its private key.
    server_name: what the other side's certificate must be for; None: the host. verify False: whoever answers is
    believed.
    """

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = field(default=None, repr=False)
    check_hostname: bool = True
    ca_text: str | None = field(default=None, repr=False)  # PEM, as cert_text
    cert_text: str | None = field(default=None, repr=False)
    server_name: str | None = None
    verify: bool = True

    @property
    def has_ca(self) -> bool:
        """Whether a private CA is trusted instead of the system's."""
        return self.ca_file is not None or self.ca_text is not None

    @property
    def has_client_cert(self) -> bool:
        """Whether this side shows a certificate of its own."""
        return self.cert_file is not None or self.cert_text is not None


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """One hub as a client sees it.

    Units: seconds. ping_after_s without a byte received sends a Ping, dead_after_s ends the session, so that a
    half-open link (accepted but silent) is found within dead_after_s.
    """

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    token: str | None = field(default=None, repr=False)
    tls: Tls | None = None
    connect_timeout_s: float = 10.0
    request_timeout_s: float = 30.0
    ping_after_s: float = 5.0
    dead_after_s: float = 15.0
    backoff_first_s: float = 0.2
    backoff_max_s: float = 30.0
    max_requests: int = 1000  # asked and not answered; the next caller waits (10 MB each at the very worst)

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        token: str | None = None,
        ca_file: str | None = None,
        cert_file: str | None = None,
        key_file: str | None = None,
        check_hostname: bool = True,
        connect_timeout_s: float = 10.0,
        request_timeout_s: float = 30.0,
        ping_after_s: float = 5.0,
        dead_after_s: float = 15.0,
    ) -> Self:
        """Settings from `tcp://host:port` or `tls://host:port`; the port may be left out.

        Errors: Invalid for any other form.
        """
        host, port, encrypted = parse_url(url)
        if not encrypted and (ca_file or cert_file or key_file):
            raise Invalid(f"certificate files make no sense with {url!r}", hint="use tls:// instead of tcp://")
        tls = Tls(ca_file, cert_file, key_file, check_hostname) if encrypted else None
        return cls(
            host,
            port,
            token,
            tls,
            connect_timeout_s=connect_timeout_s,
            request_timeout_s=request_timeout_s,
            ping_after_s=ping_after_s,
            dead_after_s=dead_after_s,
        )

    @property
    def url(self) -> str:
        """The address as people write it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'tls' if self.tls else 'tcp'}://{host}:{self.port}"


# Schemes of the hub's other port: of the one that is meant.
WEB: Final = {"http": "tcp", "https": "tls", "ws": "tcp", "wss": "tls"}


def parse_url(url: str) -> tuple[str, int, bool]:
    """Host, port and whether it is encrypted."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise Invalid(f"{url!r} is not the address of a hub: {error}", hint=_FORM) from error
    if parts.scheme in WEB:
        raise Invalid(
            f"{url!r} is an address for browsers; here it is the hub's TCP port that is meant",
            hint=f"write {WEB[parts.scheme]}://{parts.hostname or 'host'}:{DEFAULT_PORT}, or what tcp.port says there",
        )
    if parts.scheme not in ("tcp", "tls") or not parts.hostname or parts.path.strip("/") or parts.query:
        raise Invalid(f"{url!r} is not the address of a hub", hint=_FORM)
    if parts.username or parts.password:
        raise Invalid("the address of a hub holds no user or password", hint="give the token by itself")
    return parts.hostname, DEFAULT_PORT if port is None else port, parts.scheme == "tls"


_FORM = "write tcp://host:6789, or tls://host:6789 for an encrypted link"
