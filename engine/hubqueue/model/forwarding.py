"""A forwarder as somebody asked for it while the hub runs: the value that the job file keeps."""

from __future__ import annotations

import re
from typing import Final

import msgspec

from hubqueue.errors import Invalid
from hubqueue.model.hours import Hours
from hubqueue.model.limits import WRITE_TIMEOUT_S

MAX_FORWARDERS: Final = 100  # kept in the job file: each holds a connection

_NAME: Final = re.compile(r"[A-Za-z0-9_.:-]{1,256}\Z")  # as queues, whose names they have by default
_SERVER_NAME: Final = re.compile(r"[A-Za-z0-9_:-][A-Za-z0-9_.:-]{0,252}\Z")

# Kept when they are not given anew, as long as the place is the same: they were given for that one.
SECRETS: Final = frozenset({"token", "ca_cert", "client_cert"})


class ForwardSpec(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """target None: the queue of the same name. Secrets never show in a repr.

    ca_cert: PEM text of a private CA; client_cert: of a certificate with its chain and private key. server_name: what
    the other side's certificate must be for, None: the host. verify False: that certificate is not looked at.
    retiring: it is forgotten as soon as its queue holds nothing to forward.

    Units: *_ms milliseconds, rate_per_s jobs.
    """

    name: str
    queue: str
    to: str
    target: str | None = None
    token: str | None = None
    ca_cert: str | None = None
    client_cert: str | None = None
    server_name: str | None = None
    verify: bool = True
    retiring: bool = False
    durable: bool = True
    hours: Hours | None = None
    rate_per_s: float | None = None
    batch: int = 100
    concurrency: int = 1
    backoff_ms: int = 500
    backoff_cap_ms: int = 60_000
    write_timeout_ms: int = WRITE_TIMEOUT_S * 1000

    def __repr__(self) -> str:
        return f"ForwardSpec(name={self.name!r}, queue={self.queue!r}, to={self.to!r})"


class KeptForwarder(msgspec.Struct, frozen=True):
    """What the job file knows of one name. spec None: a forwarder of the configuration, which is paused."""

    name: str
    spec: ForwardSpec | None
    paused: bool


def check_forwarder_name(name: str) -> str:
    """Errors: Invalid."""
    if _NAME.match(name) is None:
        raise Invalid(f"{name!r} cannot name a forwarder", hint="1 to 256 letters, digits and . _ : - are allowed")
    return name


def check_server_name(name: str) -> str:
    """What a certificate is for. Errors: Invalid."""
    if not isinstance(name, str) or _SERVER_NAME.match(name) is None:
        raise Invalid(f"The server name {name!r} is no name of a host", hint="give one of the other side's certificate")
    return name
