"""What went through a hub: totals and rates since it was opened, ended jobs per queue and minute for two weeks.

Counted in memory (hub/tallies); maintenance writes the minutes down every ten seconds, so a kill loses at most those.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Final

import msgspec

from hubqueue.model.histogram import BUCKETS
from hubqueue.store import metrics
from hubqueue.store.queues import QueueRow
from hubqueue.store.tx import Tally, Tx

MINUTE_MS: Final = 60_000
WINDOW_S: Final = 10  # rates are means over so long
KINDS: Final = {Tally.COMPLETED: metrics.COMPLETED, Tally.FAILED: metrics.FAILED}


class Series(msgspec.Struct, frozen=True, gc=False):
    """Counts per minute, newest first and without gaps; `total` of all; `newest` is in the current minute."""

    counts: list[int]
    total: int
    newest: int
    newest_ms: int


class Metrics:
    """One per hub. `totals`, `of_queue` and `rates` by Tally, `waited` and `ran` by the buckets of model/histogram."""

    def __init__(self) -> None:
        self.totals = [0] * Tally.SIZE
        self.of_queue: dict[QueueRow, list[int]] = {}
        self._times = [0] * (2 * BUCKETS)
        self._seconds: deque[tuple[int, list[int]]] = deque(maxlen=WINDOW_S + 1)
        self._unwritten: dict[tuple[int, int, int], int] = {}  # (queue, kind, minute) -> count

    def count(self, tallies: Mapping[tuple[QueueRow, int], int], now_ms: int) -> None:
        """This was committed since the last time."""
        second = now_ms // 1000
        if not self._seconds or self._seconds[-1][0] != second:
            self._seconds.append((second, [0] * Tally.SIZE))
        recent = self._seconds[-1][1]
        for (row, tally), n in tallies.items():
            if tally >= Tally.SIZE:
                self._times[tally - Tally.SIZE] += n
                continue
            self.totals[tally] += n
            if row not in self.of_queue:
                self.of_queue[row] = [0] * Tally.SIZE
            self.of_queue[row][tally] += n
            recent[tally] += n
            kind = KINDS.get(tally)
            if kind is not None:
                key = (row.id, kind, now_ms // MINUTE_MS)
                self._unwritten[key] = self._unwritten.get(key, 0) + n

    @property
    def waited(self) -> list[int]:
        """How long jobs waited from when they were due to their lease."""
        return self._times[:BUCKETS]

    @property
    def ran(self) -> list[int]:
        """How long jobs ran from their lease to their completion."""
        return self._times[BUCKETS:]

    def rates(self, now_ms: int) -> list[float]:
        """Per second, over the last ten whole seconds."""
        this = now_ms // 1000
        sums = [0] * Tally.SIZE
        for second, counts in self._seconds:
            if this - WINDOW_S <= second < this:
                sums = [total + n for total, n in zip(sums, counts, strict=True)]
        return [total / WINDOW_S for total in sums]

    def write(self, tx: Tx) -> None:
        """Write the minutes down."""
        counts, self._unwritten = self._unwritten, {}

        def undo() -> None:
            for key, n in counts.items():
                self._unwritten[key] = self._unwritten.get(key, 0) + n

        tx.undo.append(undo)
        metrics.add(tx, [(*key, n) for key, n in counts.items()])

    def _series(self, tx: Tx, queue: str, kind: int) -> Series:
        self.write(tx)
        now = tx.now_ms // MINUTE_MS
        row = tx.queues.find(queue)
        found = {} if row is None else metrics.read(tx, row.id, kind, now - metrics.KEPT_MINUTES)
        counts = [found.get(minute, 0) for minute in range(now, min(found) - 1, -1)] if found else []
        return Series(counts, sum(counts), found.get(now, 0), now * MINUTE_MS)

    def completed_of(self, tx: Tx, queue: str) -> Series:
        """The completed jobs of a queue."""
        return self._series(tx, queue, metrics.COMPLETED)

    def failed_of(self, tx: Tx, queue: str) -> Series:
        """The jobs of a queue that became dead letters."""
        return self._series(tx, queue, metrics.FAILED)

    @property
    def unwritten(self) -> bool:
        """Whether there is something to write down."""
        return bool(self._unwritten)
