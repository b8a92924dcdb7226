"""What commits counted, on its way to the statistics: collected as it is, summed up once a second or when it is read.

A commit of one job costs an append for each count instead of a walk through everything that keeps statistics.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hubqueue.store.queues import QueueRow
from hubqueue.store.tx import Count

MOST: Final = 8192  # collected before it is summed up anyway: about a millisecond of work

Sums = dict[tuple[QueueRow, int], int]


class Counters:
    """`give` gets the sums of each fold by (queue, Tally)."""

    def __init__(self, give: Callable[[Sums], None]) -> None:
        self._give = give
        self._counts: list[Count] = []

    def add(self, counts: list[Count]) -> None:
        """A group was committed."""
        self._counts += counts
        if len(self._counts) >= MOST:
            self.fold()

    def fold(self) -> None:
        """Sum up what was collected. To be called before statistics are read."""
        if not self._counts:
            return
        counts, self._counts = self._counts, []
        sums: Sums = {}
        for queue, tally, n in counts:
            key = (queue, tally)
            sums[key] = sums.get(key, 0) + n
        self._give(sums)
