"""A job is queued: it is counted, and found when it is due."""

from __future__ import annotations

from hubqueue.model.state import State
from hubqueue.store.queues import QueueRow
from hubqueue.store.tx import Tx


def queued(tx: Tx, row: QueueRow, state: State, priority: int, run_at_ms: int, ends_at_ms: int | None) -> None:
    """Count a job that is waiting or delayed now, and see to it that a worker gets it in time.

    ends_at_ms: when its time is over, which may be in the past; None: it has no end, or maintenance knows of it.
    """
    if ends_at_ms is not None:
        tx.due(ends_at_ms)
    tx.count_job(row, state, priority, 1)
    if state is State.DELAYED:
        row.next_due_ms = min(row.next_due_ms, run_at_ms)  # a lower bound stays true if the group fails
        tx.due(run_at_ms)
    elif not row.paused:
        tx.available(row)
