"""What a configuration says, as frozen values with the defaults of docs/config.md.

Rule: secrets never show in a repr. Values of other layers (rules, forwarder settings) are used as they are, so
that app.py passes them on without translating again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from hubqueue.client.address import DEFAULT_PORT
from hubqueue.forward.settings import ForwardSettings
from hubqueue.hub.settings import HubSettings
from hubqueue.mqtt.broker import Broker
from hubqueue.mqtt.rules import Rule


@dataclass(frozen=True, slots=True)
class TcpDoor:
    """Where the hub listens. No tokens: nobody is asked, and only loopback is served."""

    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    tokens: tuple[str, ...] = field(default=(), repr=False)
    cert_file: Path | None = None
    key_file: Path | None = None
    max_connections: int = 1000


@dataclass(frozen=True, slots=True)
class HttpDoor:
    """Kept for the HTTP door; nothing listens yet."""

    port: int | None = None


@dataclass(frozen=True, slots=True)
class Mqtt:
    """The broker and what becomes of its messages."""

    broker: Broker
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class Forward:
    """One forwarder: which queue goes where, and how. Units: seconds."""

    queue: str
    to: str
    target: str
    token: str | None = field(default=None, repr=False)
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    durable: bool = True
    write_timeout_s: float = 30.0
    settings: ForwardSettings = field(default_factory=ForwardSettings)


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
    """Everything a hub process is told. `drain_s`: how long running work may take to end at a shutdown."""

    data_path: Path = Path("hub.db")
    tcp: TcpDoor = TcpDoor()
    http: HttpDoor = HttpDoor()
    mqtt: Mqtt | None = None
    forwarders: tuple[Forward, ...] = ()
    handlers: Handlers | None = None
    hub: HubSettings = field(default_factory=HubSettings)
    log: Log = Log()
    drain_s: float = 10.0
