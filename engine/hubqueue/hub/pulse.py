"""Notices that the process did not run: it was stopped, frozen with its container, or the machine had no time for it.

What clients sent meanwhile is still in the sockets, so that no lease may end for the time that was missed. (A machine
that sleeps does not count that as time: then the system clock jumps, see hub/maintenance.)
"""

from __future__ import annotations

import asyncio
from typing import Final

BEAT_S: Final = 0.5
MISSED_S: Final = 2.0  # what is less is a busy machine


class Pulse:
    """Beats while the loop turns."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._last_s = loop.time()
        self._missed_s = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._look()
        self._timer = self._loop.call_later(BEAT_S, self.start)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    def missed_ms(self) -> int:
        """How long the loop has not turned since this was asked last; 0 if that is not worth a word."""
        self._look()
        missed_s, self._missed_s = self._missed_s, 0.0
        return int(missed_s * 1000)

    def _look(self) -> None:
        now_s = self._loop.time()
        gap_s = now_s - self._last_s - BEAT_S
        self._last_s = now_s
        if gap_s > MISSED_S:
            self._missed_s += gap_s + BEAT_S
