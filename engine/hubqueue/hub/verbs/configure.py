"""Settings of one queue that clients may change: how its dead letters are kept, and what counts as stalled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from hubqueue.hub.verbs import rows
from hubqueue.hub.verbs.bury import bound_dead
from hubqueue.model.queue_settings import (
    DlqSettings,
    QueueSettings,
    StallSettings,
    change_dlq,
    change_stall,
    dlq_settings,
    stall_settings,
)
from hubqueue.store import queue_settings
from hubqueue.store.tx import Tx


def dlq_config(tx: Tx, queue: str) -> DlqSettings:
    """How the dead letters of a queue are kept."""
    return dlq_settings(tx.queues.settings.get(queue), tx.bounds(queue))


def stall_config(tx: Tx, queue: str) -> StallSettings:
    """What counts as stalled in a queue."""
    return stall_settings(tx.queues.settings.get(queue), tx.bounds(queue))


def set_dlq_config(tx: Tx, queue: str, config: Mapping[str, Any]) -> None:
    """Change how the dead letters of a queue are kept; those beyond a lower bound go at once. Errors: Invalid."""
    changed = change_dlq(dlq_config(tx, queue), config)
    row = rows.queue_row(tx, queue)
    old = tx.queues.settings.get(queue, QueueSettings())
    queue_settings.store(tx, row, msgspec.structs.replace(old, dlq=changed))
    bound_dead(tx, row)


def set_stall_config(tx: Tx, queue: str, config: Mapping[str, Any]) -> None:
    """Change what counts as stalled in a queue. Errors: Invalid."""
    changed = change_stall(stall_config(tx, queue), config)
    row = rows.queue_row(tx, queue)
    old = tx.queues.settings.get(queue, QueueSettings())
    queue_settings.store(tx, row, msgspec.structs.replace(old, stall=changed))
