"""What follows from a group of verbs, beyond the file: told by the store, in this order, to whoever opened it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hubqueue.model.verbs import Event
from hubqueue.store.queues import QueueRow
from hubqueue.store.tx import Count, Tx


def _nothing(told: Any) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Effects:
    """Given to a store when it is made. Each must be quick: it runs between two groups.

    prepare: before the commit of a group with events, with its transaction; it may write. Then, once it is committed:
    counted: what it counted; publish: its events. After its replies: wake: jobs that have become available, by queue;
    schedule: there is something to do at this time (Unix ms).
    """

    prepare: Callable[[Tx], None] = _nothing
    counted: Callable[[list[Count]], None] = _nothing
    publish: Callable[[list[Event]], None] = _nothing
    wake: Callable[[dict[QueueRow, int]], None] = _nothing
    schedule: Callable[[int], None] = _nothing


NONE = Effects()
