"""The queues at this moment, with what went through them in the last minute."""

from __future__ import annotations

from collections.abc import Callable
from heapq import nlargest

import msgspec

from hubqueue.hub.history import History, PerMinute
from hubqueue.hub.verbs import query
from hubqueue.model.state import State
from hubqueue.store.queues import PRIORITIZED, QueueRow
from hubqueue.store.tx import Tx


class Standing(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """Jobs by state; `waiting` without those that are prioritized, whether the queue is paused or not."""

    waiting: int
    prioritized: int
    delayed: int
    active: int
    waiting_children: int
    completed: int
    failed: int


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


def overview(tx: Tx, history: History, sees: Callable[[str], bool], limit: int) -> Now:
    """All queues that the client sees; those listed are the ones with most unfinished and dead jobs."""
    rows = [row for row in tx.queues.by_name.values() if sees(row.name)]
    sums = [sum(column) for column in zip(*(row.n for row in rows), strict=True)] or [0] * (PRIORITIZED + 1)
    listed = rows if len(rows) <= limit else nlargest(limit, rows, key=_weight)
    queues = [
        QueueNow(row.name, row.paused, _standing(row.n), query.oldest_ms(tx, row), history.per_minute(row))
        for row in sorted(listed, key=_name)
    ]
    return Now(queues, len(rows), _standing(sums))


def _standing(n: list[int]) -> Standing:
    waiting, *others = n[:PRIORITIZED]
    return Standing(waiting - n[PRIORITIZED], n[PRIORITIZED], *others)


def _weight(row: QueueRow) -> int:
    return sum(row.n[:PRIORITIZED]) - row.n[State.COMPLETED]


def _name(row: QueueRow) -> str:
    return row.name
