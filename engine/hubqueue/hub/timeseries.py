"""The lately of one queue, or of the whole hub: rings of samples at growing steps, in one block of memory.

Written by hub/history only. Slots are numbered by the clock (second // step), so that rings of all queues and what the
file remembers of earlier lives fit together. A slot holds NaN where nothing is known.
"""

from __future__ import annotations

import math
from array import array
from typing import Final, NamedTuple

from hubqueue.model.histogram import BUCKETS, quantile
from hubqueue.store.tx import Tally


class Level(NamedTuple):
    """One ring: so many slots of so many seconds, the first at `at` in the block."""

    step_s: int
    slots: int
    at: int


class Series:
    """What a slot holds, as indexes."""

    ENQUEUED = 0  # so many in the slot
    COMPLETED = 1
    FAILED = 2
    WAITING = 3  # the most at any sample of the slot
    OLDEST_MS = 4
    WAIT_P50_MS = 5
    WAIT_P95_MS = 6
    RUN_P50_MS = 7
    RUN_P95_MS = 8
    SIZE = 9


COUNTED: Final = {
    Tally.PUSHED: Series.ENQUEUED,
    Tally.COMPLETED: Series.COMPLETED,
    Tally.FAILED: Series.FAILED,
}
GAUGES: Final = (Series.WAITING, Series.OLDEST_MS)
SHAPE: Final = ((10, 90), (60, 60), (450, 48), (1800, 48))  # a quarter of an hour, 1 hour, 6 hours, a day


def _levels() -> tuple[Level, ...]:
    found, at = [], 0
    for step_s, slots in SHAPE:
        found.append(Level(step_s, slots, at))
        at += slots
    return tuple(found)


LEVELS: Final = _levels()
SLOTS: Final = sum(slots for _, slots in SHAPE)
OPEN: Final = 5  # series of a slot that is still open: those before the quantiles
TIMES: Final = 2 * BUCKETS


class TimeSeries:
    """10 kB for 246 slots of 9 series, and the four slots that are open."""

    __slots__ = ("_open", "_ring", "_times", "used_s")

    def __init__(self) -> None:
        self._ring = array("f", [math.nan]) * (SLOTS * Series.SIZE)
        self._open = array("f", [0.0]) * (OPEN * len(LEVELS))
        self._times = array("I", [0]) * (TIMES * len(LEVELS))
        self.used_s = 0  # when something last went through
        for at in range(len(LEVELS)):
            self._reopen(at)

    def count(self, tally: int, n: int) -> None:
        """So many went through, or took so long, since the last sample."""
        series = COUNTED.get(tally)
        if series is not None:
            for at in range(len(LEVELS)):
                self._open[at * OPEN + series] += n
        elif tally >= Tally.WAITED:
            for at in range(len(LEVELS)):
                self._times[at * TIMES + tally - Tally.WAITED] += n

    def gauge(self, series: int, value: float) -> None:
        """How it is at this sample."""
        for place in range(series, len(self._open), OPEN):
            if not self._open[place] >= value:  # NaN: the first one
                self._open[place] = value

    def close(self, at: int, slot: int) -> None:
        """The open slot of this level is over and was that one."""
        level = LEVELS[at]
        start = (level.at + slot % level.slots) * Series.SIZE
        self._ring[start : start + OPEN] = self._open[at * OPEN : (at + 1) * OPEN]
        for series, first in ((Series.WAIT_P50_MS, 0), (Series.RUN_P50_MS, BUCKETS)):
            times = self._times[at * TIMES + first : at * TIMES + first + BUCKETS]
            for offset, q in enumerate((0.5, 0.95)):
                value = quantile(times, q)
                self._ring[start + series + offset] = math.nan if value is None else value
        self._reopen(at)

    def clear(self, at: int, slot: int) -> None:
        """Nothing is known of this slot."""
        level = LEVELS[at]
        start = (level.at + slot % level.slots) * Series.SIZE
        self._ring[start : start + Series.SIZE] = array("f", [math.nan]) * Series.SIZE

    def remember(self, at: int, slot: int, series: int, n: float) -> None:
        """Add what an earlier life wrote down to a closed slot."""
        level = LEVELS[at]
        place = (level.at + slot % level.slots) * Series.SIZE + series
        known = self._ring[place]
        self._ring[place] = n if math.isnan(known) else known + n

    def recall(self, at: int, series: int, first: int, last: int) -> list[float | None]:
        """The values of these slots."""
        level = LEVELS[at]
        places = ((level.at + slot % level.slots) * Series.SIZE + series for slot in range(first, last + 1))
        return [None if math.isnan(self._ring[place]) else self._ring[place] for place in places]

    def _reopen(self, at: int) -> None:
        for series in range(OPEN):
            self._open[at * OPEN + series] = math.nan if series in GAUGES else 0.0
        self._times[at * TIMES : (at + 1) * TIMES] = array("I", [0]) * TIMES
