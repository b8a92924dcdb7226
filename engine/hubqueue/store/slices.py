"""How much one transaction of a long verb touches (engine-rules 5).

Rows bound the time on the loop, bytes what goes into the log: a slice must fit into what is kept back for a full disk
(store/reserve), however large the jobs are. Whoever works in slices goes on until one is empty: a short one may have
been heavy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, TypeVar

from hubqueue.model.job import Flag

T = TypeVar("T")

SLICE: Final = 500  # rows
SLICE_BYTES: Final = 1024 * 1024
BATCH_BYTES: Final = 16 * SLICE_BYTES  # what one batch may bring in: as much may go for it
TIED_BYTES: Final = 65_536  # what the lines of a job's log, or its place in a flow, may cost

# what removing or rewriting a row touches; SQLite knows lengths without reading what is that long
WEIGHT: Final = f"""coalesce(length(data), 0) + coalesce(length(result), 0) + coalesce(length(history), 0)
    + coalesce(length(options), 0) + (flags & {int(Flag.LOGS | Flag.DEPENDENT)} <> 0) * {TIED_BYTES}"""


def light(rows: Iterable[T], weight: Callable[[T], int], most_bytes: int = SLICE_BYTES) -> list[T]:
    """The first of these rows that are together no heavier than a slice; at least one. Reads no further."""
    taken: list[T] = []
    left = most_bytes
    for row in rows:
        left -= weight(row)
        if taken and left < 0:
            break
        taken.append(row)
    return taken
