"""What a source is told: where its messages are, and what becomes of them. Secrets never show in a repr."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final, Literal

from hubqueue.client.address import Tls
from hubqueue.client.tls import client_context
from hubqueue.ingest.into import Into
from hubqueue.model.job import Dedup
from hubqueue.sources.routing import SourceRouting

Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]

DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class KafkaBrokers:
    """How to reach a Kafka cluster. servers: host:port, one that answers is enough."""

    servers: tuple[str, ...]
    tls: Tls | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    mechanism: Mechanism = "SCRAM-SHA-512"

    @property
    def url(self) -> str:
        return f"{'kafkas' if self.tls else 'kafka'}://{','.join(self.servers)}"

    def options(self) -> dict[str, Any]:
        """What every client of aiokafka is told. Errors: Invalid names a certificate file that cannot be used."""
        options: dict[str, Any] = {"bootstrap_servers": list(self.servers), "security_protocol": "PLAINTEXT"}
        if self.tls is not None:
            options |= {"security_protocol": "SSL", "ssl_context": client_context(self.tls)}
        if self.username is not None:
            options["security_protocol"] = "SASL_SSL" if self.tls is not None else "SASL_PLAINTEXT"
            options["sasl_mechanism"] = self.mechanism
            options["sasl_plain_username"] = self.username
            options["sasl_plain_password"] = self.password or ""
        return options


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaSource:
    """Topics of Kafka, read as a member of a consumer group. start: where a group begins that has read nothing yet.

    instance: a name that the group knows the hub by after a restart, so that its partitions stay where they are.
    Units: session_s seconds after which the group gives the partitions of a silent member to others.
    """

    name: str
    brokers: KafkaBrokers
    topics: tuple[str, ...]
    into: Into
    group: str = "hubqueue"
    start: Literal["earliest", "latest"] = "earliest"
    session_s: float = 10.0
    instance: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AmqpSource:
    """A queue of an AMQP 0-9-1 broker. prefetch: messages that the broker hands out before it hears of the first.

    Units: remember_ms milliseconds for which the ids of messages are known, should they come again.
    """

    name: str
    url: str = field(repr=False)  # with its password
    queue: str
    into: Into
    tls: Tls | None = None
    prefetch: int = 500
    remember_ms: int = DAY_MS

    @property
    def remember(self) -> Dedup:
        """How a message that comes again is known."""
        return Dedup(f"amqp:{self.queue}", ttl_ms=self.remember_ms)


Source = KafkaSource | AmqpSource


def routing_of(source: Source) -> SourceRouting:
    """Its settings, ready to run. Errors: Invalid."""
    return SourceRouting(source.name, source.into, source.remember if isinstance(source, AmqpSource) else None)
