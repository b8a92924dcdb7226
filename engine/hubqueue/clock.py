"""Hub time: wall clock at start plus monotonic time, so that a step of the system clock never moves it unseen.

The hub asks `now_ms` everywhere; `jump_ms` says by how much the wall clock has left hub time, and `rebase`
follows it. Only maintenance may call `rebase`, in the transaction that shifts deadlines and relative delays.
"""

from __future__ import annotations

from typing import Final

from hubqueue.system import System

JUMP_MS: Final = 2000  # a smaller difference is drift or slewing, not a jump


class Clock:
    """Hub time, in Unix UTC milliseconds."""

    def __init__(self, system: System, floor_ms: int = 0) -> None:
        """Start at the wall clock, never below floor_ms, the last time the file has seen."""
        self._wall_ms: Final = system.wall_ms
        self._mono_ns: Final = system.mono_ns
        self._base_ms = max(self._wall_ms(), floor_ms) - self._mono_ns() // 1_000_000

    def now_ms(self) -> int:
        """Hub time now."""
        return self._base_ms + self._mono_ns() // 1_000_000

    def jump_ms(self) -> int:
        """How far the wall clock has jumped away from hub time; 0 while they agree to 2 s."""
        difference = self._wall_ms() - self.now_ms()
        return difference if abs(difference) > JUMP_MS else 0

    def rebase(self, jump_ms: int) -> None:
        """Follow a jump of the wall clock."""
        self._base_ms += jump_ms
