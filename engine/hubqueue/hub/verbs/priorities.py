"""How many queued jobs a queue has of each priority, counted in steps.

Waiting jobs are counted by their index, and those of priority 0, usually nearly all, by what is left of the queue's
counter; delayed ones row by row.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from hubqueue.model.state import State
from hubqueue.store import lists
from hubqueue.store.tx import Tx

STEP: Final = 10_000  # rows of delayed jobs, some 5 ms


class Priorities:
    """`step` until it answers False, then `counts`. What changes meanwhile may be counted or not."""

    def __init__(self, queue: str) -> None:
        self._queue = queue
        self._after: int | None = None  # None: the waiting ones are still to be counted
        self.counts: Counter[int] = Counter()

    def step(self, tx: Tx) -> bool:
        """One slice; whether there is more to count."""
        row = tx.queues.find(self._queue)
        if row is None:
            return False
        if self._after is None:
            self._after = -1
            self.counts.update(lists.raised_and_lowered(tx, row))
            self.counts[0] += row.n[State.WAITING] - self.counts.total()
            return row.n[State.DELAYED] > 0
        counts, last = lists.delayed_by_priority(tx, row, self._after, STEP)
        self.counts.update(counts)
        self._after = last
        return counts.total() == STEP

    def shown(self) -> dict[str, int]:
        """As the protocol wants them."""
        return {str(priority): n for priority, n in sorted(self.counts.items()) if n}
