"""How far the log is on the disk, by sequence numbers: what leaves the hub waits for it (engine-rules 55).

Who waits gets the next regular sync. As long as few ask, theirs begins at once: a single command is not to be late,
and a stream of readings costs only a few more.
"""

from __future__ import annotations

import asyncio
from typing import Final

AT_ONCE: Final = 20  # syncs that waiting may bring forward in a row
PER_S: Final = 4  # and so many in each second after that


class Horizon:
    """Jobs below `seq` are on the disk. Units: now_s seconds of the loop."""

    def __init__(self, seq: int) -> None:
        self.seq = seq
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._left = float(AT_ONCE)
        self._at_s = 0.0

    def wait(self, seq: int) -> asyncio.Future[None]:
        """Done when this job is on the disk; its exception is the OSError of the sync that failed."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if seq < self.seq:
            future.set_result(None)
        else:
            self._waiting.append((seq, future))
        return future

    @property
    def waited_for(self) -> bool:
        """Whether anybody waits."""
        return bool(self._waiting)

    def may_hurry(self, now_s: float) -> bool:
        """Whether a sync may begin now because somebody waits; it is counted."""
        self._left = min(float(AT_ONCE), self._left + (now_s - self._at_s) * PER_S)
        self._at_s = now_s
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def reached(self, seq: int) -> None:
        """A sync that covers all jobs below has ended."""
        self.seq = max(self.seq, seq)
        self._answer(self.seq, None)

    def failed(self, error: OSError) -> None:
        """A sync has failed: nothing more of what is waited for is known to be safe."""
        self._answer(None, error)

    def _answer(self, below: int | None, error: OSError | None) -> None:
        waiting, self._waiting = self._waiting, []
        for seq, future in waiting:
            if future.done():  # who waited is gone
                continue
            if below is not None and seq >= below:
                self._waiting.append((seq, future))
            elif error is None:
                future.set_result(None)
            else:
                future.set_exception(error)
