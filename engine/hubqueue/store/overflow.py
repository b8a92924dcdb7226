"""Where the jobs of `_overflow` belong: a row beside each, by the queue that had no room. Each SQL above its function.

The options that a job has where it belongs are kept here: in `_overflow` it holds no deduplication key.
"""

from __future__ import annotations

from typing import Final

from hubqueue.model.state import State
from hubqueue.store.slices import WEIGHT, light
from hubqueue.store.tx import Tx

PARK: Final = "INSERT OR IGNORE INTO overflow (seq, queue, own_options) VALUES (?, ?, ?)"


def park(tx: Tx, seq: int, queue: str, options: bytes | None) -> None:
    tx.execute(PARK, (seq, queue, options))


HOME: Final = "SELECT queue FROM overflow WHERE seq = ?"


def home(tx: Tx, seq: int) -> str | None:
    """The queue that a job belongs to which is there; None of any other."""
    found = tx.execute(HOME, (seq,)).fetchone()
    return None if found is None else str(found[0])


WAITS: Final = """
    SELECT 1 FROM overflow JOIN job ON job.seq = overflow.seq
    WHERE overflow.queue = ? AND job.queue = ? AND job.state IN (0, 1)
    LIMIT 1
"""


def waits(tx: Tx, queue: str, overflow_id: int) -> bool:
    """Whether jobs of this queue are there."""
    return tx.execute(WAITS, (queue, overflow_id)).fetchone() is not None


QUEUES: Final = "SELECT DISTINCT queue FROM overflow"


def queues(tx: Tx) -> list[str]:
    """The queues whose jobs are there, or have been."""
    return [name for (name,) in tx.execute(QUEUES).fetchall()]


FIRST: Final = f"""
    SELECT overflow.seq, own_options, {WEIGHT} FROM overflow JOIN job ON job.seq = overflow.seq
    WHERE overflow.queue = ? AND job.queue = ? AND job.state IN (0, 1)
    ORDER BY overflow.seq LIMIT ?
"""


def first(tx: Tx, queue: str, overflow_id: int, limit: int) -> list[tuple[int, bytes | None]]:
    """A slice of the jobs of this queue that came first: (seq, options)."""
    rows = light(tx.execute(FIRST, (queue, overflow_id, limit)), lambda row: row[2])
    return [row[:2] for row in rows]


FORGET: Final = "DELETE FROM overflow WHERE seq = ?"


def forget(tx: Tx, seq: int) -> None:
    """The job is not there any more."""
    tx.execute(FORGET, (seq,))


MOVE: Final = "UPDATE job SET queue = ?, state = ?, ord = ?, options = ?, flags = ? WHERE seq = ?"


def move(tx: Tx, seq: int, queue_id: int, state: State, ord: int, options: bytes | None, flags: int) -> None:
    """The job goes where it belongs, under its number and id."""
    tx.execute(MOVE, (queue_id, state, ord, options, flags, seq))
    forget(tx, seq)


PRUNE: Final = "DELETE FROM overflow WHERE NOT EXISTS (SELECT 1 FROM job WHERE seq = overflow.seq AND queue = ?)"


def prune(tx: Tx, overflow_id: int) -> None:
    """Forget what was removed from there by other ways."""
    tx.execute(PRUNE, (overflow_id,))
