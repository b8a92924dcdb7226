"""Where a forwarder writes to, as a value. Configuration and job file make them, `sinks.maker` a sink of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from hubqueue.client.address import LinkSettings, Tls
from hubqueue.model.limits import WRITE_TIMEOUT_S


class Destination(Protocol):
    """Nothing it shows is a secret. Units: write_timeout_s seconds."""

    @property
    def url(self) -> str:
        """The other side, as people write it."""
        ...

    @property
    def target(self) -> str | None:
        """The queue, topic or table there; None: what is called as the queue here, or the URL says it."""
        ...

    @property
    def encrypted(self) -> bool: ...

    @property
    def has_secret(self) -> bool:
        """Whether a token or password was given."""
        ...

    @property
    def tls(self) -> Tls | None:
        """How the other side is known, where that is asked at all."""
        ...

    @property
    def write_timeout_s(self) -> float: ...


@dataclass(frozen=True, slots=True)
class HubDestination:
    """Another hub; queue None: the one of the same name. durable: it syncs before it says ok."""

    link: LinkSettings
    queue: str | None = None
    durable: bool = True
    write_timeout_s: float = WRITE_TIMEOUT_S

    @property
    def url(self) -> str:
        return self.link.url

    @property
    def target(self) -> str | None:
        return self.queue

    @property
    def encrypted(self) -> bool:
        return self.link.tls is not None

    @property
    def has_secret(self) -> bool:
        return self.link.token is not None

    @property
    def tls(self) -> Tls | None:
        return self.link.tls
