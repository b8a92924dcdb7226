"""What a destination must be able to do to be forwarded to. Called by the forwarder and its link only.

The one rule: `write` returns for a job only after the other side keeps it for good (durable jobs: synced),
because the local copy is completed next. Everything else raises, and nothing may take forever.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

import msgspec

from hubqueue.forward.outbound import OutboundJob
from hubqueue.forward.verdict import Down, Rejected


class Batch(msgspec.Struct, frozen=True):
    """Jobs of one queue in the order they are to arrive. Their ids are those that the other side is to know them by.

    floor: no unsettled job of the queue has a lower seq, so that a receiver may forget what is below it; None: unknown.
    """

    queue: str
    parcels: tuple[OutboundJob, ...]
    floor: int | None = None


Result = Rejected | Down | None
"""What became of a job: None, the other side has it; Rejected, it never will; Down, not now, but others it takes."""


class Partly(Exception):
    """The link went down in the middle of a batch, and what became of its first jobs is known: `results`.

    alone: the next one was under way with no other, so that it may be the cause.
    """

    def __init__(self, results: Sequence[Result], down: Down, *, alone: bool = True) -> None:
        super().__init__(down.error)
        self.results = results
        self.down = down
        self.alone = alone


class Sink(Protocol):
    """A destination. One connection at a time; `write` may be called again before an earlier one returned."""

    @property
    def target(self) -> str:
        """Where it writes to, for people: no secrets."""
        ...

    @property
    def wants_floor(self) -> bool:
        """Whether `Batch.floor` is of any use to the other side; it costs a query each time."""
        ...

    async def connect(self) -> None:
        """Make the connection anew, once. Errors: any that `verdict` reads; the caller decides when to try again.

        The other side has answered when it returns; a sink that asks nothing of it brings `ping`.
        """
        ...

    async def write(self, batch: Batch) -> Sequence[Result]:
        """Write the jobs; for each None when the other side has it, or why it does not take it.

        Errors: any that `verdict` takes for the link's; then nothing is known of the batch and all of it is sent again.
        Partly, from a sink that writes one job after another and knows how far it came.
        """
        ...

    async def lost(self) -> None:
        """Return or raise once the connection is gone; a sink without a lasting connection waits forever."""
        ...

    async def close(self) -> None:
        """Give the connection up. May be called at any time and again."""
        ...


@runtime_checkable
class Pings(Protocol):
    """A sink whose `connect` asks nothing of the other side."""

    async def ping(self) -> None:
        """Ask for an answer that has nothing to do with jobs. Errors: any, when there is none in time."""
        ...
