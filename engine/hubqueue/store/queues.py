"""Queue rows, kept in memory: name, pause, counts and the hint when the next delayed job is due.

Counts are those of the file plus those of the open group (see tx). Rebuilt from the file at open.
"""

from __future__ import annotations

import sqlite3
from typing import Final

from hubqueue.errors import QueueFull
from hubqueue.model.queue_settings import QueueSettings
from hubqueue.model.throttle import Bucket, QueueLimits, Window

MAX_QUEUES: Final = 100_000  # each costs about 400 bytes of memory
NEVER: Final = 1 << 62
PRIORITIZED: Final = 6  # index of the counter of waiting jobs with a priority above 0; those before it are States
EXPIRED: Final = 7  # index of the counter of jobs that their ttl has removed, since the queue is there


class QueueRow:
    """One queue.

    `n` holds the number of jobs by State, at PRIORITIZED those of the waiting ones with a priority above 0, and at
    EXPIRED those that are gone because their time to live was over.
    `next_due_ms` is a lower bound of the delayed jobs' times. `asked_ms`: when a worker last asked for a job.
    `limits` is None for an unlimited queue; `bucket` holds the tokens of its rate, and `refill_ms` when maintenance
    shall look for a token. `grouped`: it has, or has had, jobs in groups; `windows` are those of its groups' rates.
    """

    __slots__ = (
        "asked_ms",
        "bucket",
        "grouped",
        "id",
        "limits",
        "n",
        "name",
        "next_due_ms",
        "paused",
        "refill_ms",
        "windows",
    )

    def __init__(self, id: int, name: str, paused: bool = False) -> None:
        self.id = id
        self.name = name
        self.paused = paused
        self.n = [0] * 8
        self.next_due_ms = 0
        self.asked_ms = 0
        self.limits: QueueLimits | None = None
        self.bucket: Bucket | None = None
        self.refill_ms = NEVER
        self.grouped = False
        self.windows: dict[str, Window] = {}

    def shift(self, jump_ms: int) -> None:
        """The clock jumped: what is kept here of times goes with it, or is looked at anew."""
        self.next_due_ms = 0
        self.refill_ms = 0 if self.refill_ms < NEVER else NEVER
        self.asked_ms += jump_ms
        for window in self.windows.values():
            window.start_ms += jump_ms
            window.ends_ms += jump_ms
            window.blocked_until_ms += jump_ms

    def __repr__(self) -> str:
        return f"QueueRow({self.id}, {self.name!r}, n={self.n})"


LOAD: Final = """
    SELECT id, name, paused, waiting, delayed, active, waiting_children, completed, failed,
           prioritized, expired
    FROM queue LEFT JOIN counter ON counter.queue = queue.id
    ORDER BY id
"""
CREATE: Final = "INSERT INTO queue (id, name) VALUES (?, ?)"
PAUSE: Final = "UPDATE queue SET paused = ? WHERE id = ?"
FORGET: Final = "DELETE FROM queue WHERE id = ?"
FORGET_COUNTER: Final = "DELETE FROM counter WHERE queue = ?"
DOOM: Final = "INSERT INTO doomed (queue) VALUES (?)"


class Queues:
    """Every queue by name and by id."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self.by_name: dict[str, QueueRow] = {}
        self.by_id: dict[int, QueueRow] = {}
        self.settings: dict[str, QueueSettings] = {}  # of the queues that have their own
        self.counts_groups = False  # whether the file has the triggers of groups
        self._next_id = 1
        for id, name, paused, *counts in db.execute(LOAD).fetchall():
            row = QueueRow(id, name, bool(paused))
            row.n = [n or 0 for n in counts]
            self._put(row)
        doomed = db.execute("SELECT max(queue) FROM doomed").fetchone()[0]
        self._next_id = max([0, doomed or 0, *self.by_id]) + 1

    def find(self, name: str) -> QueueRow | None:
        return self.by_name.get(name)

    def create(self, name: str) -> QueueRow:
        """A new queue row; the caller's journal undoes it with `drop` if the group fails."""
        if len(self.by_name) >= MAX_QUEUES:
            raise QueueFull(f"There are {MAX_QUEUES} queues already", hint="obliterate queues that are not used")
        row = QueueRow(self._next_id, name)
        self._next_id += 1  # never given back: an id is not used twice, even after a failed group
        self._db.execute(CREATE, (row.id, name))
        self._put(row)
        return row

    def drop(self, row: QueueRow) -> None:
        """Forget a row in memory."""
        del self.by_name[row.name]
        del self.by_id[row.id]

    def restore(self, row: QueueRow) -> None:
        """Take a `drop` back."""
        self._put(row)

    def _put(self, row: QueueRow) -> None:
        self.by_name[row.name] = row
        self.by_id[row.id] = row
