"""The work of SQLite, counted in steps of its virtual machine: the same on every machine, whatever else that does.

A core of this decade makes some 20 to 50 million steps a second; 100 ms are 2 million on a slow one.
"""

from __future__ import annotations

from collections import Counter
from typing import Final, Self

from hubqueue.hub.hub import Hub

EVERY: Final = 100  # steps between two calls: exact enough


class Steps:
    """`with Steps(hub) as steps:`; `total`, and `most` of one transaction, which nobody can interrupt."""

    def __init__(self, hub: Hub) -> None:
        self._store = hub.store
        self._by_group: Counter[int] = Counter()

    @property
    def total(self) -> int:
        return sum(self._by_group.values())

    @property
    def most(self) -> int:
        return max(self._by_group.values(), default=0)

    def clear(self) -> None:
        self._by_group.clear()

    def __enter__(self) -> Self:
        self._store._db.set_progress_handler(self._count, EVERY)
        return self

    def __exit__(self, *_: object) -> None:
        self._store._db.set_progress_handler(None, EVERY)

    def _count(self) -> int:
        self._by_group[self._store.groups] += EVERY
        return 0  # go on
