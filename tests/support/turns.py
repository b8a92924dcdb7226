"""Turns of the loop: what is done in one of them holds everybody else up, however fast the machine is."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Self


class Turns:
    """`with Turns() as turns:`, then `turns.note()` where something is done; `turns.most`: the most in one turn."""

    def __init__(self) -> None:
        self.count = 0
        self._done: Counter[int] = Counter()
        self._loop = asyncio.get_running_loop()
        self._next: asyncio.Handle | None = None

    def note(self, weight: int = 1) -> None:
        self._done[self.count] += weight

    @property
    def most(self) -> int:
        return max(self._done.values(), default=0)

    def __enter__(self) -> Self:
        self._turn()
        return self

    def __exit__(self, *_: object) -> None:
        assert self._next is not None
        self._next.cancel()

    def _turn(self) -> None:
        self.count += 1
        self._next = self._loop.call_soon(self._turn)
