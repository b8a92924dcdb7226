"""What the members of a group read, and as whom."""

from __future__ import annotations

from dataclasses import dataclass, field

from hubqueue.model.decode import Payload
from hubqueue.sources.consumer import POLL_S
from hubqueue.sources.settings import KafkaBrokers


@dataclass(frozen=True, slots=True, kw_only=True)
class From:
    """What a member reads. Units: session_s seconds after which the group gives up a silent member, poll_s one that is
    there and asks for nothing.

    instance: a name that it has again after a restart, by which the group knows it.
    """

    brokers: KafkaBrokers
    topics: tuple[str, ...]
    group: str
    payload: Payload = field(default_factory=Payload)
    session_s: float = 10.0
    poll_s: float = POLL_S
    instance: str | None = None
    dead_letters: str | None = None
