"""Addresses of sources as people write them: kafka://host:9092,other:9092/topic?group=name and amqp://host/vhost."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

from hubqueue.errors import Invalid
from hubqueue.sources.settings import KafkaBrokers

KAFKA_PORT: Final = 9092
_FORM: Final = "write kafka://host:9092/topic?group=name; several hosts or topics are separated by commas"
_INSTANCE_FORM: Final = "1 to 249 letters, digits, dots, hyphens and underscores, as Kafka takes them"
_INSTANCE: Final = re.compile(r"(?!\.\.?\Z)[A-Za-z0-9._-]{1,249}\Z")
_AMQP_FORM: Final = "write amqp://user@host:5672/vhost, or amqps:// for an encrypted connection"


@dataclass(frozen=True, slots=True)
class KafkaAddress:
    """What a kafka:// or kafkas:// address says; the scheme with an s is encrypted."""

    servers: tuple[str, ...]
    topics: tuple[str, ...]
    group: str | None
    encrypted: bool
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    @property
    def brokers(self) -> KafkaBrokers:
        """Without what the address cannot say: files of certificates and the mechanism."""
        return KafkaBrokers(self.servers, username=self.username, password=self.password)


def kafka_address(text: str) -> KafkaAddress:
    """Errors: Invalid."""
    scheme, separator, rest = text.partition("://")
    if scheme not in ("kafka", "kafkas") or not separator:
        raise Invalid(f"{text!r} is not the address of a Kafka topic", hint=_FORM)
    rest, _, query = rest.partition("?")
    place, _, path = rest.partition("/")
    login, at, hosts = place.rpartition("@")
    user, _, password = login.partition(":")
    options = dict(parse_qsl(query, keep_blank_values=True))
    group = options.pop("group", None)
    if options:
        raise Invalid(f"a Kafka address has no {', '.join(sorted(options))}", hint=_FORM)
    topics = tuple(unquote(topic) for topic in path.split(",") if topic)
    if not topics:
        raise Invalid("the address names no topic", hint=_FORM)
    return KafkaAddress(
        tuple(_server(host) for host in hosts.split(",")),
        topics,
        group or None,
        scheme == "kafkas",
        unquote(user) if at else None,
        unquote(password) or None,
    )


def check_instance(text: str) -> str:
    """The name of a member that comes back, if Kafka takes it. Errors: Invalid."""
    if not _INSTANCE.match(text):
        raise Invalid(f"{text[:80]!r} cannot name an instance", hint=_INSTANCE_FORM)
    return text


def check_amqp(text: str) -> str:
    """The address of an AMQP broker, if it is one. Errors: Invalid."""
    try:
        parts = urlsplit(text)
        sound = parts.scheme in ("amqp", "amqps") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound:
        raise Invalid("this is not the address of an AMQP broker", hint=_AMQP_FORM)
    return text


def _server(text: str) -> str:
    """host:port with the port that brokers have."""
    host, colon, port = text.rpartition(":")
    if not colon or text.endswith("]"):
        host, port = text, str(KAFKA_PORT)
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise Invalid(f"{text!r} is not the address of a broker", hint=_FORM)
    return f"{host}:{port}"
