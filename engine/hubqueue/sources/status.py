"""How a source goes: whether it is connected, and what it has counted since the start of the hub."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from hubqueue.ingest.counts import Counts


@dataclass(slots=True)
class SourceCounts(Counts):
    """Units: messages. repeated: came again; those of Kafka are known then, and not received. deleted: by the brokers
    of Kafka, before they were read.
    """

    repeated: int = 0
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
    counts: SourceCounts = field(default_factory=SourceCounts)

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
