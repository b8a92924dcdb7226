"""Hub time as the file has seen it, so that time and order never run backwards over a restart."""

from __future__ import annotations

import sqlite3
from typing import Final

READ: Final = "SELECT value FROM meta WHERE key = ?"
WRITE: Final = "INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?), (?, ?)"


def stored_time(db: sqlite3.Connection) -> tuple[int, int]:
    """(last hub time, last order number), both in ms; 0 in a new file."""
    return _number(db, "last_ms"), _number(db, "last_ord_ms")


def store_time(db: sqlite3.Connection, now_ms: int, ord_ms: int) -> None:
    db.execute(WRITE, ("last_ms", now_ms, "last_ord_ms", ord_ms))


def _number(db: sqlite3.Connection, key: str) -> int:
    row = db.execute(READ, (key,)).fetchone()
    return 0 if row is None else int(row[0])
