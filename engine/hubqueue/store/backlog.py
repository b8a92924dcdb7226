"""What is not yet answered of all verbs, in bytes: beyond a bound doors stop reading until it is half as much."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

MOST_BYTES: Final = 32 * 1024 * 1024  # hub-wide
LEAST_BYTES: Final = MOST_BYTES // 2  # with so little doors read on


class Backlog:
    """The store counts `bytes` and keeps `full`, which doors look at after every command."""

    __slots__ = ("_relief", "bytes", "full")

    def __init__(self) -> None:
        self.bytes = 0
        self.full = False
        self._relief: list[Callable[[], None]] = []

    def relieved(self, callback: Callable[[], None]) -> None:
        """Call back once, when it is full no more."""
        self._relief.append(callback)

    def relieve(self) -> None:
        """It has shrunk to LEAST_BYTES."""
        self.full = False
        relief, self._relief = self._relief, []
        for callback in relief:
            callback()
