"""Leases: renewing, losing a connection, deadlines. The lease number in the row is the fence."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from hubqueue.model.job import Job
from hubqueue.store.jobs import COLUMNS, WIDTH, as_job
from hubqueue.store.queues import QueueRow
from hubqueue.store.slices import WEIGHT, light
from hubqueue.store.tx import Tx

SET_DEADLINE: Final = "UPDATE job SET lease_ms = ?, deadline_ms = ? WHERE seq = ?"


def set_deadline(tx: Tx, seq: int, lease_ms: int, deadline_ms: int) -> None:
    """A lease of its own length: jobs with a timeout or a stall timeout."""
    tx.execute(SET_DEADLINE, (lease_ms, deadline_ms, seq))


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


class Lost:
    """Why a lease may have no owner any more. Stored: never change a number."""

    NOT = 0
    CONNECTION = 1  # that of its worker broke
    HUB = 2  # the hub went down, and its worker has not been heard since


LOSE: Final = """
    UPDATE job SET deadline_ms = min(deadline_ms, ?), lost = ? WHERE seq = ? AND state = 2 AND lease_no = ?
"""


def lose(tx: Tx, leases: Sequence[tuple[int, int]], deadline_ms: int, why: int) -> None:
    """The connection of these (seq, lease_no) broke: they are given back at the deadline unless somebody resumes."""
    tx.db.executemany(LOSE, [(deadline_ms, why, seq, lease_no) for seq, lease_no in leases])


ORPHAN: Final = "UPDATE job SET lost = 2 WHERE state = 2"


def orphan(tx: Tx) -> int:
    """After a restart of the hub no connection stands, whatever broke before. How many leases there are."""
    return tx.execute(ORPHAN).rowcount


GRACE: Final = """
    UPDATE job SET deadline_ms = CASE WHEN owner IS NULL THEN max(deadline_ms, ?1) ELSE ?1 END
    WHERE state = 2 AND lost = 2
"""


def grace(tx: Tx, deadline_ms: int) -> None:
    """Workers can come back from now on, until then. What was left of a lease when the hub went down counts no more."""
    tx.execute(GRACE, (deadline_ms,))


PROLONG: Final = "UPDATE job SET deadline_ms = deadline_ms + ? WHERE state = 2"


def prolong(tx: Tx, ms: int) -> None:
    """Nobody could renew a lease for so long."""
    tx.execute(PROLONG, (ms,))


COUNT_RESTART: Final = "UPDATE job SET restarts = ? WHERE seq = ?"


def count_restart(tx: Tx, seq: int, restarts: int) -> None:
    """The hub went down with this job so many times, and nobody came back for it."""
    tx.execute(COUNT_RESTART, (restarts, seq))


class Lapsed(NamedTuple):
    """An active job whose worker is gone. lost: Lost; restarts: how often the hub went down with it before."""

    job: Job
    queue: QueueRow
    lost: int
    restarts: int


OWNED: Final = f"SELECT {COLUMNS}, queue, lost, restarts, {WEIGHT} FROM job WHERE queue = ? AND state = 2 AND owner = ?"


def owned(tx: Tx, queue_id: int, owner: str) -> list[Lapsed]:
    """A slice of what an owner has leased of a queue."""
    return _lapsed(tx, light(tx.execute(OWNED, (queue_id, owner)), lambda row: row[-1]))


EXPIRED: Final = f"""
    SELECT {COLUMNS}, queue, lost, restarts, {WEIGHT} FROM job
    WHERE state = 2 AND deadline_ms <= ? ORDER BY deadline_ms LIMIT ?
"""


def expired(tx: Tx, limit: int) -> list[Lapsed]:
    """A slice of the active jobs whose deadline has passed."""
    return _lapsed(tx, light(tx.execute(EXPIRED, (tx.now_ms, limit)), lambda row: row[-1]))


def _lapsed(tx: Tx, rows: Sequence[tuple[Any, ...]]) -> list[Lapsed]:
    found = []
    for row in rows:
        queue = tx.queues.by_id.get(row[WIDTH])
        if queue is not None:
            found.append(Lapsed(as_job(tx, row[:WIDTH], queue.name), queue, row[WIDTH + 1], row[WIDTH + 2]))
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
