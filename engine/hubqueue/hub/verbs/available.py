"""A job is queued: it is counted, and found when it is due."""

from __future__ import annotations

from hubqueue.model.state import State
from hubqueue.store.queues import QueueRow
from hubqueue.store.tx import Tx


def queued(tx: Tx, row: QueueRow, state: State, priority: int, run_at_ms: int) -> None:
    """Count a job that is waiting or delayed now, and see to it that a worker gets it in time."""
    tx.count_job(row, state, priority, 1)
    if state is State.DELAYED:
        row.next_due_ms = min(row.next_due_ms, run_at_ms)  # a lower bound stays true if the group fails
        tx.due(run_at_ms)
    elif not row.paused:
        tx.available(row)
