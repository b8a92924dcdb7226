"""What a configuration says, as frozen values with the defaults of docs/config.md.

Rule: secrets never show in a repr. Values of other layers (rules, forwarder settings) are used as they are, so
that app.py passes them on without translating again.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from hubqueue.client.address import DEFAULT_PORT
from hubqueue.forward.destination import Destination
from hubqueue.forward.plan import Plan
from hubqueue.forward.settings import ForwardSettings
from hubqueue.hub.settings import HubSettings
from hubqueue.model.access import Grant
from hubqueue.model.hours import Hours
from hubqueue.mqtt.rules import Rule
from hubqueue.mqttclient.broker import Broker
from hubqueue.sources.settings import Source

if TYPE_CHECKING:
    from hubqueue.pipeline.plan import Pipeline


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach that address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True, slots=True)
class GivenToken:
    """A token of the configuration that is not good for everything, or has a name."""

    secret: str = field(repr=False)
    grant: Grant


@dataclass(frozen=True, slots=True)
class TcpDoor:
    """Where the TCP door listens. The tokens are those of all doors; without any, loopback needs none."""

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    tokens: tuple[str | GivenToken, ...] = field(default=(), repr=False)
    cert_file: Path | None = None
    key_file: Path | None = None
    max_connections: int = 1000


@dataclass(frozen=True, slots=True)
class Ingress:
    """A second HTTP port for Home Assistant's Supervisor: it alone is answered, and its users need no token."""

    port: int = 8099
    host: str = "0.0.0.0"  # the Supervisor comes by the containers' network; all others are refused
    trusted: str = "172.30.32.2"


@dataclass(frozen=True, slots=True)
class Internal:
    """One more HTTP port, never encrypted: for a network that others do not reach, as that of Home Assistant's apps."""

    port: int = 6791
    host: str = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class HttpDoor:
    """Where the HTTP door listens. names: what browsers may call it, beside loopback and its address."""

    enabled: bool = True
    host: str = "127.0.0.1"
    port: int = 6790
    cert_file: Path | None = None
    key_file: Path | None = None
    names: tuple[str, ...] = ()
    max_connections: int = 4000
    ingress: Ingress | None = None
    internal: Internal | None = None


@dataclass(frozen=True, slots=True)
class Mqtt:
    """The broker and what becomes of its messages. channels: whether channels are heard and told there."""

    broker: Broker
    rules: tuple[Rule, ...] = ()
    channels: bool = True


@dataclass(frozen=True, slots=True)
class Onward:
    """The way of a forwarder: where to, how and when. to: for people, without secrets."""

    destination: Destination
    settings: ForwardSettings = field(default_factory=ForwardSettings)
    hours: Hours | None = None
    to: str = ""

    def of(self, queue: str, name: str | None = None) -> Forward:
        """The forwarder that takes a queue this way."""
        return Forward(self.destination, self.settings, self.hours, self.to, queue=queue, name=name)


@dataclass(frozen=True, slots=True)
class Forward(Onward):
    """One forwarder: which queue goes where, when and how; name None: as its queue."""

    queue: str = field(kw_only=True)
    name: str | None = field(default=None, kw_only=True)

    def plan(self, zone: str | None) -> Plan:
        """What the hub's fleet runs; `zone` is the hub's. Errors: Invalid."""
        return Plan(
            name=self.name or self.queue,
            queue=self.queue,
            destination=self.destination,
            declared="config",
            hours=self.hours,
            calendar=None if self.hours is None else self.hours.calendar(zone),
            settings=self.settings,
        )


@dataclass(frozen=True, slots=True)
class Supervised:
    """What a hub that runs as Home Assistant's app knows of its Supervisor. Made by container/, never by a file.

    host: by what name Home Assistant reaches this container. mqtt: whether the Supervisor says where the broker is.
    """

    url: str
    token: str = field(repr=False)
    host: str
    integration_token: str = field(repr=False)
    mqtt: bool = False


@dataclass(frozen=True, slots=True)
class Handlers:
    """The folder of `@task` functions and the bounds of the process that runs them."""

    folder: Path
    max_memory_bytes: int | None = None
    grace_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Log:
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"


@dataclass(frozen=True, slots=True)
class Config:
    """Everything a hub process is told. `drain_s`: how long running work may take to end at a shutdown.

    forwarders: those of the file, and those of the outputs of pipelines.
    origins: where each value that is no default came from, by its path: a flag, a variable, or file and line.
    variables: the names of those that its files use of the environment: what they hold may be secret.
    """

    data_path: Path = Path("hub.db")
    tcp: TcpDoor = TcpDoor()
    http: HttpDoor = HttpDoor()
    mqtt: Mqtt | None = None
    forwarders: tuple[Forward, ...] = ()
    sources: tuple[Source, ...] = ()
    handlers: Handlers | None = None
    pipelines: tuple[Pipeline, ...] = ()
    hub: HubSettings = field(default_factory=HubSettings)
    log: Log = Log()
    supervised: Supervised | None = None
    zeroconf: bool = False
    drain_s: float = 10.0
    pipeline_files: tuple[Path, ...] = ()
    origins: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    variables: frozenset[str] = frozenset()
