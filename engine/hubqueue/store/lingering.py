"""Verbs that nobody waits for: they wait for others, whose commit they share, but not for long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

E = TypeVar("E")


class Lingering(Generic[E]):
    """take: gets them, in order, when the time of the first is over or `over` is called. Units: seconds."""

    def __init__(self, linger_s: float, take: Callable[[list[E]], None]) -> None:
        self.linger_s = linger_s
        self.entries: list[E] = []
        self._take = take
        self._timer: asyncio.TimerHandle | None = None

    def add(self, entry: E) -> None:
        self.entries.append(entry)
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self.linger_s, self.over)

    def over(self) -> None:
        """They wait no longer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        entries, self.entries = self.entries, []
        self._take(entries)
