"""A Kafka cluster and how to write to it, as a value. Imports no client library."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal

from hubqueue.client.address import Tls
from hubqueue.model import moment
from hubqueue.model.limits import WRITE_TIMEOUT_S
from hubqueue.model.moment import TimeFormat

DEFAULT_PORT: Final = 9092
MAX_RECORD_BYTES: Final = 1_048_576  # what a broker takes unless its message.max.bytes says otherwise

Compression = Literal["none", "gzip", "snappy", "lz4", "zstd"]
Mechanism = Literal["plain", "scram-sha-256", "scram-sha-512"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """servers: host and port of brokers that say where the others are."""

    servers: tuple[tuple[str, int], ...]
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    mechanism: Mechanism = "scram-sha-512"
    tls: Tls | None = None

    @property
    def url(self) -> str:
        return f"{'kafka' if self.tls is None else 'kafkas'}://{','.join(self.bootstrap)}"

    @property
    def bootstrap(self) -> list[str]:
        return [f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.servers]


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """How a job becomes a record: templates of topic and key, an expression of the time. times: how that is written."""

    topic: str
    key: str | None = None
    time: str | None = None
    times: TimeFormat = moment.DEFAULT
    value: Literal["json", "msgpack"] = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class KafkaDestination:
    """idempotent: the broker drops what the client sends twice. Units: max_record bytes, write_timeout_s seconds."""

    cluster: Cluster
    form: Form
    compression: Compression = "none"
    idempotent: bool = True
    max_record: int = MAX_RECORD_BYTES
    write_timeout_s: float = WRITE_TIMEOUT_S

    @property
    def url(self) -> str:
        return self.cluster.url

    @property
    def target(self) -> str | None:
        return self.form.topic

    @property
    def encrypted(self) -> bool:
        return self.cluster.tls is not None

    @property
    def has_secret(self) -> bool:
        return self.cluster.password is not None

    @property
    def tls(self) -> Tls | None:
        return self.cluster.tls
