"""Delayed jobs: due ones become waiting, in slices, in the order in which they became due."""

from __future__ import annotations

from typing import Final

from hubqueue.model.state import Move, State
from hubqueue.store.queues import NEVER, PRIORITIZED, QueueRow
from hubqueue.store.tx import Tx

PROMOTE: Final = f"""
    UPDATE job
    SET state = {Move.PROMOTE.to(State.DELAYED, State.WAITING):d},
        ord = CASE WHEN flags & 128 THEN -seq ELSE run_at_ms END
    WHERE seq IN (
        SELECT seq FROM job
        WHERE queue = ? AND state = {State.DELAYED:d} AND run_at_ms <= ?
        ORDER BY run_at_ms LIMIT ?)
    RETURNING priority
"""
NEXT_DUE: Final = "SELECT min(run_at_ms) FROM job WHERE queue = ? AND state = 1"


def promote_due(tx: Tx, queue: QueueRow, limit: int) -> int:
    """Move at most `limit` due jobs of the queue to waiting; how many. Keeps the queue's hint of the next one."""
    if not queue.n[State.DELAYED] or queue.next_due_ms > tx.now_ms:
        return 0
    rows = tx.execute(PROMOTE, (queue.id, tx.now_ms, limit)).fetchall()
    if len(rows) < limit:
        (due,) = tx.execute(NEXT_DUE, (queue.id,)).fetchone()
        before = queue.next_due_ms
        queue.next_due_ms = NEVER if due is None else due  # at once: jobs that come later in this group lower it
        tx.undo.append(lambda: _lower_hint(queue, before))
    if rows:
        tx.count(queue, State.DELAYED, -len(rows))
        tx.count(queue, State.WAITING, len(rows))
        raised = sum(1 for (priority,) in rows if priority > 0)
        if raised:
            tx.count(queue, PRIORITIZED, raised)
        tx.available(queue, len(rows))
    return len(rows)


def _lower_hint(queue: QueueRow, at_ms: int) -> None:
    queue.next_due_ms = min(queue.next_due_ms, at_ms)
