"""receive: `intake` of messages whose sender is told afterwards that it may forget them, and what is noted for that.

The note stands in the file exactly if the jobs do; whoever made it hears whether it came to that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from hubqueue.hub.verbs.ingest import Arrival, Dead, Placed, intake
from hubqueue.model.outcome import Blob
from hubqueue.store import blobs
from hubqueue.store.tx import Tx


class Note(Protocol):
    """What is noted with a batch. `write` is called in the transaction, then one of the other two."""

    def write(self) -> Blob | None:
        """What to store; None: nothing has changed."""
        ...

    def committed(self) -> None: ...
    def undone(self) -> None: ...


def receive(tx: Tx, arrivals: Sequence[Arrival], dead: Sequence[Dead], note: Note) -> Placed:
    """Store a batch, which may be empty, and the note. Errors: DiskFull, Draining, QueueFull of the whole file."""
    placed = intake(tx, arrivals, dead) if arrivals or dead else Placed()
    tx.undo.append(note.undone)
    blob = note.write()
    if blob is not None:
        blobs.put(tx, blob.namespace, blob.key, blob.value)
    tx.after.append(note.committed)
    return placed
