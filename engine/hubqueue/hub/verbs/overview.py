"""The queues at this moment, with what went through them in the last minute. Each step holds the loop for little."""

from __future__ import annotations

from collections.abc import Callable
from heapq import nlargest
from typing import Final

import msgspec

from hubqueue.hub.history import History, PerMinute
from hubqueue.hub.verbs import query
from hubqueue.model.state import State
from hubqueue.store.queues import EXPIRED, PRIORITIZED, QueueRow
from hubqueue.store.tx import Tx

COUNTED: Final = 2000  # queues whose jobs are added up in one step
LISTED: Final = 100  # queues whose first job in line is looked up in one step


class Standing(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """Jobs by state; `waiting` without those that are prioritized, whether the queue is paused or not.

    expired: those that are gone because their ttl was over, since the queue is there.
    """

    waiting: int
    prioritized: int
    delayed: int
    active: int
    waiting_children: int
    completed: int
    failed: int
    expired: int


class QueueNow(msgspec.Struct, frozen=True, gc=False):
    """One queue. oldest_ms: how long the first in line waits; None when none does. per_minute None: not known."""

    name: str
    paused: bool
    standing: Standing
    oldest_ms: int | None
    per_minute: PerMinute | None


class Now(msgspec.Struct, frozen=True, gc=False):
    """The largest queues by name, and what all together hold."""

    queues: list[QueueNow]
    queue_count: int
    totals: Standing


class Survey:
    """All queues that the client sees; those listed are the ones with most unfinished and dead jobs.

    `step` until it answers False, then `found`.
    """

    def __init__(self, history: History, sees: Callable[[str], bool], limit: int) -> None:
        self._history = history
        self._sees = sees
        self._limit = limit
        self._left: list[QueueRow] | None = None  # to be counted
        self._sums = [0] * (EXPIRED + 1)
        self._count = 0
        self._largest: list[QueueRow] = []
        self._listed: list[QueueNow] = []

    def step(self, tx: Tx) -> bool:
        """One slice; whether there is more to do."""
        if self._left is None:
            self._left = list(tx.queues.by_name.values())
        if self._left:
            part, self._left = self._left[-COUNTED:], self._left[:-COUNTED]
            self._add_up([row for row in part if row.id in tx.queues.by_id and self._sees(row.name)])
            return True
        part, self._largest = self._largest[-LISTED:], self._largest[:-LISTED]
        self._listed += [_queue(tx, row, self._history) for row in part if row.id in tx.queues.by_id]
        return bool(self._largest)

    def found(self) -> Now:
        return Now(sorted(self._listed, key=_name), self._count, _standing(self._sums))

    def _add_up(self, rows: list[QueueRow]) -> None:
        self._count += len(rows)
        if rows:
            self._sums = [sum(column) for column in zip(self._sums, *(row.n for row in rows), strict=True)]
        self._largest = nlargest(self._limit, [*self._largest, *rows], key=_weight)


def _queue(tx: Tx, row: QueueRow, history: History) -> QueueNow:
    return QueueNow(row.name, row.paused, _standing(row.n), query.oldest_ms(tx, row), history.per_minute(row))


def _standing(n: list[int]) -> Standing:
    waiting, delayed, active, children, completed, failed = n[:PRIORITIZED]
    return Standing(waiting - n[PRIORITIZED], n[PRIORITIZED], delayed, active, children, completed, failed, n[EXPIRED])


def _weight(row: QueueRow) -> int:
    return sum(row.n[:PRIORITIZED]) - row.n[State.COMPLETED]


def _name(queue: QueueNow) -> str:
    return queue.name
