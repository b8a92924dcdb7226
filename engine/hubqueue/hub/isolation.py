"""Who may run beside whom: everybody, but a suspect runs alone. For handlers, and for what forwarders send.

When a process dies, or a link breaks, under several jobs, nobody knows which one did it. All of them become suspects
and are run again one at a time, so that a second time names the guilty one and the innocent complete.
Starts are in order of arrival: while a suspect waits for the others to end, nobody overtakes it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Isolation:
    """A shared-or-exclusive lock for one event loop, first come first served."""

    def __init__(self) -> None:
        self._running = 0
        self._alone = False
        self._waiting: deque[tuple[asyncio.Future[None], bool]] = deque()

    @asynccontextmanager
    async def turn(self, *, alone: bool) -> AsyncIterator[None]:
        """Wait for the turn, and give it back."""
        await self.begin(alone=alone)
        try:
            yield
        finally:
            self.end()

    async def begin(self, *, alone: bool) -> None:
        """Wait for the turn."""
        if not self._waiting and self._free(alone):
            self._take(alone)
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append((turn, alone))
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._wake()
            else:  # the turn came in the same moment: hand it on
                self.end()
            raise

    def end(self) -> None:
        """Give the turn back."""
        self._running -= 1
        self._alone = False
        self._wake()

    def _free(self, alone: bool) -> bool:
        return self._running == 0 if alone else not self._alone

    def _take(self, alone: bool) -> None:
        self._running += 1
        self._alone = alone

    def _wake(self) -> None:
        while self._waiting:
            turn, alone = self._waiting[0]
            if not turn.done():
                if not self._free(alone):
                    return
                self._take(alone)
                turn.set_result(None)
            self._waiting.popleft()
