"""Ended jobs per queue, kind and minute. Written by maintenance from counts in memory, never by verbs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from hubqueue.store.tx import Tx

COMPLETED: Final = 0
FAILED: Final = 1
KEPT_MINUTES: Final = 20_160  # two weeks

ADD: Final = """
    INSERT INTO metric (queue, kind, minute, n) VALUES (?, ?, ?, ?)
    ON CONFLICT (queue, kind, minute) DO UPDATE SET n = n + excluded.n
"""
READ: Final = "SELECT minute, n FROM metric WHERE queue = ? AND kind = ? AND minute > ? ORDER BY minute"
PRUNE: Final = "DELETE FROM metric WHERE queue = ? AND kind = ? AND minute <= ?"
FORGET: Final = "DELETE FROM metric WHERE queue = ?"


def add(tx: Tx, counts: Iterable[tuple[int, int, int, int]]) -> None:
    """Add (queue, kind, minute, count)s; what is older than two weeks goes."""
    for queue, kind, minute, n in counts:
        if queue in tx.queues.by_id:
            tx.execute(ADD, (queue, kind, minute, n))
            tx.execute(PRUNE, (queue, kind, minute - KEPT_MINUTES))


def read(tx: Tx, queue: int, kind: int, after_minute: int) -> dict[int, int]:
    """Minute -> count, for the minutes that have any."""
    return dict(tx.execute(READ, (queue, kind, after_minute)).fetchall())


def forget(tx: Tx, queue: int) -> None:
    """The queue is gone."""
    tx.execute(FORGET, (queue,))
