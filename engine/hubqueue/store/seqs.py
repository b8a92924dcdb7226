"""Sequence numbers: handed out from memory, from blocks whose end is committed and synced before use.

No number is ever used twice, whatever is lost in a crash or a power cut: every open starts at the stored end.
AUTOINCREMENT would not do: after a power cut it hands out numbers again whose jobs were acknowledged.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from hubqueue.errors import StoreError

BLOCK: Final = 1_000_000
RESTORE_GAP: Final = 10**12  # a restored backup starts beyond anything the lost file may have used
LAST: Final = 2**53 - 1  # JavaScript clients read it as a double

READ: Final = "SELECT value FROM meta WHERE key = 'seq_end'"
WRITE: Final = "INSERT OR REPLACE INTO meta (key, value) VALUES ('seq_end', ?)"


class Seqs:
    """`next` is the next free number; `end` is the first one that may not be used yet.

    Beyond `low` it is time to reserve the next block.
    """

    __slots__ = ("end", "low", "next")

    def __init__(self, start: int, end: int) -> None:
        self.next = start
        self.extend(end)

    def extend(self, end: int) -> None:
        """Numbers below `end` may be used: it is committed and synced."""
        self.end = end
        self.low = end - BLOCK // 2

    def take(self, count: int) -> int:
        """The first of `count` consecutive numbers, to be called before anything is written. Errors: StoreError.

        They are not taken back when the verb refuses: there are enough of them.
        """
        first = self.next
        if first + count > self.end:
            raise StoreError("No sequence number is ready yet", hint="try again in a moment")
        self.next = first + count
        return first


def stored_end(db: sqlite3.Connection) -> int:
    """The first number that was never reserved: 1 in a new file."""
    row = db.execute(READ).fetchone()
    return 1 if row is None else int(row[0])


def reserve(db: sqlite3.Connection) -> int:
    """Move the stored end by one block, inside the open transaction; it counts once that is synced."""
    end = stored_end(db) + BLOCK
    if end > LAST:
        raise StoreError("The sequence numbers are used up", hint="export the jobs into a new file")
    db.execute(WRITE, (end,))
    return end
