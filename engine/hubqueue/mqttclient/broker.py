"""Where the MQTT broker is and how to speak to it: everything a link needs to know before it starts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal, Self
from urllib.parse import unquote, urlsplit

from hubqueue.client.address import Tls
from hubqueue.errors import Invalid
from hubqueue.model.limits import check_int

PORT: Final = 1883
TLS_PORT: Final = 8883

_SCHEMES: Final = {"mqtt": False, "tcp": False, "mqtts": True, "ssl": True}
_FORM: Final = "write mqtt://host:1883, or mqtts://host:8883 for an encrypted link; user:password@ may go before host"


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """The broker as the bridge sees it.

    receive_maximum is how many messages may be received and not yet acknowledged: what bounds memory and, with the
    time a sync takes, speed. MQTT 3.1.1 has no such word; there the broker's max_inflight_messages decides.
    Units: seconds, bytes.
    """

    host: str = "127.0.0.1"
    port: int = PORT
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: Tls | None = None
    version: Literal["auto", "5", "3.1.1"] = "auto"
    keepalive_s: int = 30
    timeout_s: float = 10.0
    session_expiry_s: int = 604_800  # a week: the broker keeps messages for a hub that is down as long as this
    receive_maximum: int = 2000
    max_packet_bytes: int = 16_777_216  # above the 10 MiB that a job may carry, so that larger ones are refused by us
    max_held_bytes: int = 33_554_432  # received and not yet stored; above it nothing more is read
    max_held_qos0: int = 10_000  # QoS 0 messages received and not yet stored; above it they are dropped and counted
    backoff_first_s: float = 0.5
    backoff_max_s: float = 30.0

    @classmethod
    def from_url(cls, url: str, *, tls: Tls | None = None) -> Self:
        """Settings from `mqtt://user:password@host:port` or `mqtts://...`. Errors: Invalid for any other form."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise Invalid("the address of the MQTT broker is not valid", hint=_FORM) from None
        if parts.scheme not in _SCHEMES or not parts.hostname or parts.path.strip("/") or parts.query:
            raise Invalid("the address of the MQTT broker is not valid", hint=_FORM)
        encrypted = _SCHEMES[parts.scheme]
        if tls is not None and not encrypted:
            raise Invalid("certificate files make no sense with mqtt://", hint="use mqtts:// instead")
        return cls(
            host=parts.hostname,
            port=port or (TLS_PORT if encrypted else PORT),
            username=unquote(parts.username) if parts.username else None,
            password=unquote(parts.password) if parts.password else None,
            tls=(tls or Tls()) if encrypted else None,
        )

    def __post_init__(self) -> None:
        check_int("port", self.port, 1, 65_535)
        check_int("keepalive_s", self.keepalive_s, 1, 65_535)
        check_int("session_expiry_s", self.session_expiry_s, 0, 2**32 - 1)
        check_int("receive_maximum", self.receive_maximum, 1, 65_535)

    @property
    def url(self) -> str:
        """The address as people write it, without the login."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'mqtts' if self.tls else 'mqtt'}://{host}:{self.port}"
