"""How many queued jobs a queue has of each priority.

Counted by the indexes, and those of priority 0, usually nearly all, by what is left of the queue's counters.
"""

from __future__ import annotations

from collections import Counter

from hubqueue.model.state import State
from hubqueue.store import lists
from hubqueue.store.queues import QueueRow
from hubqueue.store.tx import Tx


def waiting(tx: Tx, queue: str) -> Counter[int]:
    """The waiting jobs."""
    row = tx.queues.find(queue)
    return Counter() if row is None else _with_zero(row, State.WAITING, lists.waiting_by_priority(tx, row))


def delayed(tx: Tx, queue: str) -> Counter[int]:
    """The delayed jobs."""
    row = tx.queues.find(queue)
    return Counter() if row is None else _with_zero(row, State.DELAYED, lists.delayed_by_priority(tx, row))


def _with_zero(row: QueueRow, state: State, others: Counter[int]) -> Counter[int]:
    others[0] = row.n[state] - others.total()
    return +others
