"""What an error of a sink means: the link is down, or one job is refused. The table of engine-rules 26.

The link forwards nothing while it is down and no job suffers for it; a refused job goes to the local
dead-letter queue alone. A code that is not in the table is taken for a trouble of the link: holding jobs
back loses nothing, refusing them by mistake does.
"""

from __future__ import annotations

import re
import ssl
from enum import Enum
from typing import Final

import msgspec

from hubqueue.errors import HubqueueError, LinkDown, ProtocolError


class Reason(Enum):
    """Why a link is down."""

    UNREACHABLE = "unreachable"
    TIMEOUT = "timeout"
    TLS = "tls"
    AUTH = "auth"
    QUOTA = "quota"
    QUEUE_FULL = "queue_full"
    DISK_FULL = "disk_full"
    DRAINING = "draining"
    STORE = "store"
    PROTOCOL = "protocol"
    UNKNOWN = "unknown"


# What a person can do about it. Jobs wait meanwhile, whatever it is.
HINTS: Final[dict[Reason, str]] = {
    Reason.UNREACHABLE: "nothing to do if the other side or the network is away: it goes on by itself",
    Reason.TIMEOUT: "the other side accepts and does not answer: look at its load, or raise the write timeout",
    Reason.TLS: "give the certificate of the other side's CA, check the host name in it, and both clocks",
    Reason.AUTH: "give a token or password that the other side knows, and the right to write what is sent there",
    Reason.QUOTA: "the other side asks to slow down: lower rate or concurrency",
    Reason.QUEUE_FULL: "let workers of the other side catch up, or raise the bound of its queue",
    Reason.DISK_FULL: "free some space on the other side",
    Reason.DRAINING: "the other side is stopping: it goes on when that is back",
    Reason.STORE: "look at the disk and the log of the other side",
    Reason.PROTOCOL: "check the address, and that what is written to is there (path, database, bucket, table, topic)",
    Reason.UNKNOWN: "look at the log of the other side",
}
HINTS_OF_HUBS: Final[dict[Reason, str]] = {
    Reason.AUTH: "give a token that the other hub knows and that may enqueue there",
    Reason.PROTOCOL: "check that a hub answers at this address, and whether it is as new as this one",
}


def hint(reason: Reason, *, hub: bool) -> str:
    """What a person can do. hub: the other side is one."""
    return HINTS_OF_HUBS.get(reason, HINTS[reason]) if hub else HINTS[reason]


class Down(msgspec.Struct, frozen=True):
    """The whole link takes nothing now, or nothing of the one job that this is said of.

    retry_after_s: what the other side asked for, if it did. answered: it said so itself, and the connection is as good
    as before. job: the one that is suspected of it. Units: seconds.
    """

    reason: Reason
    error: str
    retry_after_s: float | None = None
    answered: bool = False
    job: str | None = None

    @property
    def alert(self) -> bool:
        """Whether somebody should look at it; a link that is simply out of reach comes back by itself."""
        return self.reason is not Reason.UNREACHABLE or self.job is not None


class Rejected(msgspec.Struct, frozen=True):
    """The other side will never take this job. code: one of errors.py."""

    code: str
    reason: str


class SinkDown(LinkDown):
    """A sink cannot write, and knows why."""

    def __init__(self, down: Down) -> None:
        super().__init__(down.error)
        self.down = down


OF_CODE: Final[dict[str, Reason | type[Rejected]]] = {
    "link_down": Reason.UNREACHABLE,
    "answer_lost": Reason.UNREACHABLE,
    "timed_out": Reason.TIMEOUT,
    "not_authenticated": Reason.AUTH,
    "forbidden": Reason.AUTH,
    "busy": Reason.QUOTA,
    "queue_full": Reason.QUEUE_FULL,
    "disk_full": Reason.DISK_FULL,
    "draining": Reason.DRAINING,
    "store_error": Reason.STORE,
    "protocol_error": Reason.PROTOCOL,
    "unknown_command": Reason.PROTOCOL,
    "payload_too_large": Rejected,
    "invalid": Rejected,
}

# A text with the entry it is about comes from the validation of that entry, whatever code (or none) is with it.
_ENTRY: Final = re.compile(r"jobs\[\d+\]: ")


def said(error: Exception) -> str:
    """Without the hint of every lost link: that it is tried again by itself is not so of a job that is given up."""
    if isinstance(error, LinkDown) and error.hint == LinkDown.default_hint:
        return error.message
    return str(error) or type(error).__name__


def verdict(error: Exception) -> Down | Rejected:
    """What this error, raised by a sink, means for the link or the job. Source: engine-rules 26."""
    if isinstance(error, SinkDown):
        return error.down
    text = said(error)
    if isinstance(error, HubqueueError):
        if isinstance(error, LinkDown) and isinstance(error.__cause__, ssl.SSLError):
            return Down(Reason.TLS, text)
        if isinstance(error, LinkDown) and isinstance(error.__cause__, ProtocolError | msgspec.MsgspecError):
            return Down(Reason.PROTOCOL, text)  # who answers there is no hub
        meaning = OF_CODE.get(error.code)
        if meaning is Rejected or (meaning is None and _ENTRY.match(error.message)):
            return Rejected(error.code, error.message)
        return Down(meaning if isinstance(meaning, Reason) else Reason.UNKNOWN, text)
    return Down(_of_system(error), f"{type(error).__name__}: {error}" if str(error) else text)


def _of_system(error: Exception) -> Reason:
    if isinstance(error, ssl.SSLError):
        return Reason.TLS
    if isinstance(error, TimeoutError):
        return Reason.TIMEOUT
    if isinstance(error, OSError | EOFError):
        return Reason.UNREACHABLE
    return Reason.UNKNOWN
