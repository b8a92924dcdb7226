"""What is counted of messages at every door that brings them, since it started."""

from __future__ import annotations

from dataclasses import dataclass

from hubqueue.hub.verbs.ingest import Placed


@dataclass(slots=True)
class Counts:
    """Units: messages, but for enqueued and overflowed: jobs.

    received: each once. passed: left out, as wanted. unroutable: kept in the dead-letter queue of `_unroutable`.
    overflowed, dropped: moved to `_overflow`, or lost, because a queue was full and on_full says so, or because a bound
    of the door does. acknowledged: the other side may forget them.
    """

    received: int = 0
    enqueued: int = 0
    passed: int = 0
    unroutable: int = 0
    overflowed: int = 0
    dropped: int = 0
    acknowledged: int = 0

    def place(self, placed: Placed) -> None:
        """Count what became of a batch in the job file."""
        self.enqueued += placed.enqueued
        self.unroutable += placed.dead
        self.overflowed += placed.overflowed
        self.dropped += placed.dropped
