"""Looks a copy of a job file over: SQLite's own check, and the counters against the rows. For `hubqueue doctor`.

Never call it with the live file: it reads every row.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final

from hubqueue.model.state import LABELS, State
from hubqueue.store.file import connect_aside, translate

COUNTED: Final = "SELECT queue, state, count(*) FROM job GROUP BY queue, state"
STORED: Final = """
    SELECT queue.id, queue.name, waiting, delayed, active, waiting_children, completed, failed
    FROM queue LEFT JOIN counter ON counter.queue = queue.id
"""
CHECK: Final = "PRAGMA quick_check(20)"  # so many faults are enough to know


def audit(copy: Path) -> list[str]:
    """What is wrong with the file, in plain words; empty when it is sound. Blocks: run it in a thread.

    Errors: DamagedFile, StoreError when it cannot be read at all.
    """
    try:
        db = connect_aside(copy, read_only=True)
        try:
            faults = [text for (text,) in db.execute(CHECK).fetchall() if text != "ok"]
            return faults or _miscounted(db)
        finally:
            db.close()
    except sqlite3.Error as error:
        raise translate(error, copy) from error


def _miscounted(db: sqlite3.Connection) -> list[str]:
    counted = {(queue, state): count for queue, state, count in db.execute(COUNTED).fetchall()}
    return [
        f"queue {name} counts {stored or 0} {LABELS[state]} jobs and holds {counted.get((queue, state), 0)}"
        for queue, name, *counts in db.execute(STORED).fetchall()
        for state, stored in zip(State, counts, strict=True)
        if (stored or 0) != counted.get((queue, state), 0)
    ]
