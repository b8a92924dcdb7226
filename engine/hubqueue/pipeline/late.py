"""What came too late for its window: counted when the batch that it came with is settled, and told in the log.

Rule: a batch that is undone and run again counts once. The log has one line for a group and minute, and of many groups
one line for all that are beyond MOST.
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import Final

MINUTE_S: Final = 60.0
MOST: Final = 20  # groups that have a line of their own in a minute

log = logging.getLogger(__name__)


class Late:
    """Those of one step. What is dropped is lost to everybody, so it is told; what goes elsewhere is only counted."""

    def __init__(self) -> None:
        self._settled = 0
        self._batch = 0
        self._batch_dropped: Counter[str] = Counter()
        self._untold: Counter[str] = Counter()
        self._told: set[str] = set()  # groups, in this minute
        self._minute_s = float("-inf")

    @property
    def count(self) -> int:
        return self._settled + self._batch

    def add(self, group: str, *, dropped: bool) -> None:
        """One more, in the batch that is being run."""
        self._batch += 1
        if dropped:
            self._batch_dropped[group] += 1

    def undo(self) -> None:
        """The batch has not happened."""
        self._batch = 0
        self._batch_dropped.clear()

    def settle(self) -> int:
        """The batch has happened; how many of it were late."""
        count, self._batch = self._batch, 0
        self._settled += count
        self._untold += self._batch_dropped
        self._batch_dropped.clear()
        return count

    def tell(self, pipeline: str, now_s: float) -> None:
        """Log what there is to be told. Units: now_s seconds of a clock that only goes on."""
        if not self._untold:
            return
        if now_s >= self._minute_s + MINUTE_S:
            self._minute_s = now_s
            self._told.clear()
        fresh = [group for group in self._untold if group not in self._told]
        for group in fresh[: max(0, MOST - len(self._told))]:
            self._told.add(group)
            _warn(pipeline, group, self._untold.pop(group))
        if len(self._told) == MOST and len(self._untold) > MOST:  # there will be no line for each of them
            groups = len(self._untold)
            _warn(pipeline, f"{groups} more", self._untold.total())
            self._untold.clear()


def _warn(pipeline: str, group: str, count: int) -> None:
    log.warning(
        "records came after their window was closed and are dropped, a larger lateness would have waited for them"
        " pipeline=%s group=%s count=%d",
        pipeline,
        group,
        count,
    )
