"""What the minutes in the file say of one queue: the history from before this process."""

from __future__ import annotations

from typing import Final

from hubqueue.store.metrics import COMPLETED, FAILED
from hubqueue.store.tx import Tx

MINUTES: Final = "SELECT minute, n FROM metric WHERE queue = ? AND kind = ? AND minute >= ? AND minute < ?"


def minutes(tx: Tx, queue: int, first: int, end: int) -> tuple[dict[int, int], dict[int, int]]:
    """(completed, failed) jobs by minute, from `first` to before `end`. By the primary key, a range for each kind."""
    completed, failed = (
        dict(tx.execute(MINUTES, (queue, kind, first, end)).fetchall()) for kind in (COMPLETED, FAILED)
    )
    return completed, failed
