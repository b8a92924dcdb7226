"""feed: a batch from a source that keeps its messages until it is told, and how far the source was read.

All of it in one transaction, so that what comes again after a crash is known and makes no second job.
"""

from __future__ import annotations

from collections.abc import Sequence

from hubqueue.hub.verbs.ingest import Arrival, Dead, Placed, intake
from hubqueue.model.outcome import Blob
from hubqueue.store import blobs
from hubqueue.store.tx import Tx


def feed(tx: Tx, arrivals: Sequence[Arrival], dead: Sequence[Dead], marks: Sequence[Blob] = ()) -> Placed:
    """Store a batch or nothing. Errors: QueueFull where an arrival is to wait for room; DiskFull, Draining."""
    with tx.savepoint():
        placed = intake(tx, arrivals, dead)
        for mark in marks:
            blobs.put(tx, mark.namespace, mark.key, mark.value)
    return placed
