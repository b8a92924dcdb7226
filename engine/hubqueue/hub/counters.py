"""What commits counted, on its way to the statistics: collected as it is, summed up once a second or when it is read.

A commit of one job costs an append for each count instead of a walk through everything that keeps statistics.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hubqueue.hub.commits import Commits
from hubqueue.store.queues import QueueRow
from hubqueue.store.tx import Count

MOST: Final = 8192  # collected before it is summed up anyway: about a millisecond of work

Sums = dict[tuple[QueueRow, int], int]


class Counters:
    """`give` gets the sums of each fold by (queue, Tally). commits: how large they were and how long they took."""

    def __init__(self, give: Callable[[Sums], None]) -> None:
        self._give = give
        self._counts: list[Count] = []
        self._groups: list[tuple[int, float]] = []
        self.commits = Commits()

    def add(self, counts: list[Count], verbs: int, seconds: float) -> None:
        """A group of so many verbs was committed in this time."""
        self._counts += counts
        self._groups.append((verbs, seconds))
        if len(self._counts) + len(self._groups) >= MOST:
            self.fold()

    def fold(self) -> None:
        """Sum up what was collected. To be called before statistics are read."""
        groups, self._groups = self._groups, []
        for verbs, seconds in groups:
            self.commits.count(verbs, seconds)
        if not self._counts:
            return
        counts, self._counts = self._counts, []
        sums: Sums = {}
        for queue, tally, n in counts:
            key = (queue, tally)
            sums[key] = sums.get(key, 0) + n
        self._give(sums)
