"""A database or bucket of an InfluxDB as a value."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from hubqueue.client.address import Tls
from hubqueue.forward.sinks.http.endpoint import Endpoint
from hubqueue.forward.sinks.influx.lines import Precision, Shape
from hubqueue.model.limits import WRITE_TIMEOUT_S


@dataclass(frozen=True, slots=True)
class InfluxDestination:
    """store: the database or bucket."""

    endpoint: Endpoint
    store: str
    shape: Shape
    gzip: bool = False
    write_timeout_s: float = WRITE_TIMEOUT_S

    @property
    def url(self) -> str:
        return f"influx+{self.endpoint.url}"

    @property
    def target(self) -> str | None:
        return self.store

    @property
    def encrypted(self) -> bool:
        return self.endpoint.tls is not None

    @property
    def has_secret(self) -> bool:
        return self.endpoint.has_secret

    @property
    def tls(self) -> Tls | None:
        return self.endpoint.tls


def write_1(database: str, retention_policy: str | None, precision: Precision) -> tuple[str, str]:
    """Path and query of a write to InfluxDB 1."""
    query = {"db": database, "precision": {"ns": "n", "us": "u"}.get(precision, precision)}
    return "/write", urlencode(query | ({"rp": retention_policy} if retention_policy else {}))


def write_2(bucket: str, org: str | None, precision: Precision) -> tuple[str, str]:
    """Path and query of a write to InfluxDB 2, which 3 understands as well."""
    return "/api/v2/write", urlencode(({"org": org} if org else {}) | {"bucket": bucket, "precision": precision})
