"""How a source goes: whether it is connected, and what it has counted since the start of the hub."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(slots=True)
class Counts:
    """Units: messages.

    received: not counting those that came again and were known (repeated). passed: left out by `where`. unroutable:
    kept in the dead-letter queue of `_unroutable`. overflowed and dropped: because their queue was full and on_full
    says so. acknowledged: the other side may forget them. deleted: the brokers of Kafka did so before they were read.
    """

    received: int = 0
    repeated: int = 0
    enqueued: int = 0
    passed: int = 0
    unroutable: int = 0
    overflowed: int = 0
    dropped: int = 0
    acknowledged: int = 0
    deleted: int = 0


@dataclass(slots=True)
class Status:
    """One source. held: a full queue or disk keeps it from going on. Units: lag messages; since_ms Unix milliseconds.

    lag: messages of Kafka that wait to be read, None where that is not known.
    """

    name: str
    kind: str
    url: str
    up: bool = False
    error: str | None = None
    held: str | None = None
    lag: int | None = None
    rebalances: int = 0
    since_ms: int = field(default_factory=lambda: int(time.time() * 1000))
    counts: Counts = field(default_factory=Counts)

    def turn(self, *, up: bool, error: str | None, tell: Callable[[str | None], None]) -> None:
        """Note the state of the link and tell of a change, once."""
        if up == self.up and (up or error == self.error):
            return
        if up != self.up:
            self.since_ms = int(time.time() * 1000)
        self.up, self.error = up, error
        tell(error)

    def shown(self) -> dict[str, Any]:
        """As the doors show it."""
        return {
            "name": self.name,
            "kind": self.kind,
            "url": self.url,
            "up": self.up,
            "since": float(self.since_ms),
            "error": self.error,
            "held": self.held,
            "lag": self.lag,
            "rebalances": self.rebalances,
            "counts": asdict(self.counts),
        }
