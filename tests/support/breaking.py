"""A sink of the tests that breaks over some jobs exactly as told; real ones are in the behaviour suite."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import msgspec

from hubqueue.errors import HubqueueError
from hubqueue.forward.sink import Batch, Partly
from hubqueue.forward.verdict import Down, Reason, Rejected, SinkDown

BREAKS: dict[str, Callable[[], Exception]] = {
    "hangs up": lambda: ConnectionResetError("reset by peer"),
    "is silent": lambda: TimeoutError(),
    "cannot explain": lambda: HubqueueError("Internal server error"),
    "answers with its own trouble": lambda: SinkDown(Down(Reason.UNKNOWN, "HTTP 500", answered=True)),
}


class Breaking:
    """Takes every job but those in `poison`, over which it breaks. `closed` breaks for all, and answers when asked."""

    wants_floor = False
    target = "test://there"

    def __init__(self, poison: Iterable[int], how: str, *, one_by_one: bool = False) -> None:
        self.poison = set(poison)
        self.closed = False
        self.taken: list[int] = []
        self.tries: list[list[int]] = []
        self.connections = 0
        self._how = BREAKS[how]
        self._one_by_one = one_by_one

    async def connect(self) -> None:
        self.connections += 1

    async def write(self, batch: Batch) -> list[Rejected | None]:
        numbers = [msgspec.msgpack.decode(parcel.data or b"") for parcel in batch.parcels]
        self.tries.append(numbers)
        for place, number in enumerate(numbers):
            if self.closed or number in self.poison:
                if self._one_by_one:
                    raise Partly([None] * place, Down(Reason.UNREACHABLE, "hung up"))
                raise self._how()
            if self._one_by_one:
                self.taken.append(number)
        if not self._one_by_one:
            self.taken += numbers
        return [None] * len(numbers)

    async def lost(self) -> None:
        await asyncio.Event().wait()

    async def close(self) -> None: ...
