"""An HTTP server that jobs are posted to, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hubqueue.client.address import Tls
from hubqueue.forward.sinks.http.answer import ServerErrors
from hubqueue.forward.sinks.http.endpoint import Endpoint
from hubqueue.model.limits import WRITE_TIMEOUT_S

Method = Literal["POST", "PUT", "PATCH"]


@dataclass(frozen=True, slots=True)
class HttpDestination:
    """batch: one request for a whole batch. body: the data alone, or in an envelope with id, name, queue and time.

    server_errors: whose trouble an answer 5xx is, if the server takes others.
    """

    endpoint: Endpoint
    batch: bool = False
    body: Literal["data", "envelope"] = "data"
    method: Method = "POST"
    gzip: bool = False
    server_errors: ServerErrors = "link"
    write_timeout_s: float = WRITE_TIMEOUT_S

    @property
    def url(self) -> str:
        return self.endpoint.url

    @property
    def target(self) -> str | None:
        return None

    @property
    def encrypted(self) -> bool:
        return self.endpoint.tls is not None

    @property
    def has_secret(self) -> bool:
        return self.endpoint.has_secret

    @property
    def tls(self) -> Tls | None:
        return self.endpoint.tls
