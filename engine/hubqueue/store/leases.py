"""Leases: renewing, losing a connection, deadlines. The lease number in the row is the fence."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final

from hubqueue.model.job import Job
from hubqueue.store.jobs import COLUMNS, as_job
from hubqueue.store.queues import QueueRow
from hubqueue.store.slices import WEIGHT, light
from hubqueue.store.tx import Tx

SET_DEADLINE: Final = "UPDATE job SET lease_ms = ?, deadline_ms = ? WHERE seq = ?"


def set_deadline(tx: Tx, seq: int, lease_ms: int, deadline_ms: int) -> None:
    """A lease of its own length: jobs with a timeout or a stall timeout."""
    tx.execute(SET_DEADLINE, (lease_ms, deadline_ms, seq))


OUTLIVED: Final = "SELECT expires_at_ms <= ? FROM job WHERE seq = ?"


def outlived(tx: Tx, seq: int) -> bool:
    """Whether the job's time to live is over."""
    return bool(tx.execute(OUTLIVED, (tx.now_ms, seq)).fetchone()[0])


RENEW: Final = """
    UPDATE job
    SET deadline_ms = ?1 + coalesce(?2, lease_ms, ?3), heartbeat_at_ms = ?1, lost = 0
    WHERE seq = ?4 AND state = 2 AND lease_no = ?5
    RETURNING flags, started_at_ms, options, queue
"""


def renew(
    tx: Tx, seq: int, lease_no: int, lease_ms: int | None, default_ms: int
) -> tuple[int, int, bytes | None] | None:
    """Renew a lease; (flags, started_at_ms, options) of the job.

    None: the lease is not current, or the queue was obliterated and the row only waits to be deleted.
    """
    rows = tx.execute(RENEW, (tx.now_ms, lease_ms, default_ms, seq, lease_no)).fetchall()
    return rows[0][:3] if rows and rows[0][3] in tx.queues.by_id else None


BOUND_DEADLINE: Final = "UPDATE job SET deadline_ms = min(deadline_ms, ?) WHERE seq = ?"


def bound_deadline(tx: Tx, seq: int, deadline_ms: int) -> None:
    """A job with a timeout is never leased beyond it."""
    tx.execute(BOUND_DEADLINE, (deadline_ms, seq))


TOUCH: Final = """
    UPDATE job SET progress = coalesce(?, progress), history = ?, heartbeat_at_ms = ? WHERE seq = ?
"""


def store_progress(tx: Tx, seq: int, progress: float | None, history: bytes | None) -> None:
    tx.execute(TOUCH, (progress, history, tx.now_ms, seq))


LOSE: Final = """
    UPDATE job SET deadline_ms = min(deadline_ms, ?), lost = 1 WHERE seq = ? AND state = 2 AND lease_no = ?
"""


def lose(tx: Tx, leases: Sequence[tuple[int, int]], deadline_ms: int) -> None:
    """The connection of these (seq, lease_no) broke: they are given back at the deadline unless somebody resumes."""
    tx.db.executemany(LOSE, [(deadline_ms, seq, lease_no) for seq, lease_no in leases])


LOSE_ALL: Final = "UPDATE job SET deadline_ms = min(deadline_ms, ?), lost = 1 WHERE state = 2 AND owner IS NOT NULL"


def lose_all(tx: Tx, deadline_ms: int) -> int:
    """After a restart of the hub no connection stands: the same grace for every lease. How many."""
    return tx.execute(LOSE_ALL, (deadline_ms,)).rowcount


OWNED: Final = "SELECT seq, lease_no FROM job WHERE queue = ? AND state = 2 AND owner = ?"


def owned(tx: Tx, queue_id: int, owner: str) -> list[tuple[int, int]]:
    """What an owner has leased of a queue, as (seq, lease_no)."""
    return tx.execute(OWNED, (queue_id, owner)).fetchall()


EXPIRED: Final = f"""
    SELECT {COLUMNS}, queue, lost, {WEIGHT} FROM job WHERE state = 2 AND deadline_ms <= ? ORDER BY deadline_ms LIMIT ?
"""


def expired(tx: Tx, limit: int) -> list[tuple[Job, QueueRow, bool]]:
    """A slice of the active jobs whose deadline has passed: (job, queue, whether their connection was lost)."""
    rows = light(tx.execute(EXPIRED, (tx.now_ms, limit)), lambda row: row[25])
    found = []
    for row in rows:
        queue = tx.queues.by_id.get(row[23])
        if queue is not None:
            found.append((as_job(tx, row[:23], queue.name), queue, bool(row[24])))
    return found


NEXT_DEADLINE: Final = "SELECT min(deadline_ms) FROM job WHERE state = 2"


def next_deadline_ms(db: sqlite3.Connection) -> int | None:
    value: int | None = db.execute(NEXT_DEADLINE).fetchone()[0]
    return value


SHIFT: Final = (
    "UPDATE job SET deadline_ms = deadline_ms + ?1, started_at_ms = started_at_ms + ?1 WHERE state = 2",
    "UPDATE job SET run_at_ms = run_at_ms + ?1 WHERE state = 1 AND NOT flags & 1024",
    "UPDATE job SET expires_at_ms = expires_at_ms + ?1 WHERE expires_at_ms IS NOT NULL",
    "UPDATE dedup SET expires_at_ms = expires_at_ms + ?1 WHERE expires_at_ms IS NOT NULL",
    "UPDATE custom_id SET expires_at_ms = expires_at_ms + ?1 WHERE expires_at_ms IS NOT NULL",
)


def shift(tx: Tx, jump_ms: int) -> None:
    """The clock jumped: deadlines and relative delays move with it; absolute times (run-at, cron) do not."""
    for statement in SHIFT:
        tx.execute(statement, (jump_ms,))
