"""Groups: jobs of one queue that take turns. `job_group` is kept by triggers for grouped jobs alone.

The turn of a group is its place in line: a group that gets its first waiting job, and one that was just served,
go to the end. Inside a group the lowest priority number goes first, then the order of acceptance.
"""

from __future__ import annotations

import sqlite3
from typing import Any, Final, NamedTuple

import msgspec

from hubqueue.model.job import Job
from hubqueue.model.state import State
from hubqueue.model.throttle import GroupLimits
from hubqueue.store.jobs import COLUMNS, LEASED, as_job
from hubqueue.store.queues import QueueRow, Queues
from hubqueue.store.schema import GROUP_TRIGGERS
from hubqueue.store.tx import Tx

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(GroupLimits).decode


class GroupRow(NamedTuple):
    """One group as it stands."""

    name: str
    waiting: int
    delayed: int
    active: int
    turn: int
    paused: int
    limits_blob: bytes | None

    @property
    def limits(self) -> GroupLimits:
        return GroupLimits() if self.limits_blob is None else _decode(self.limits_blob)


FIELDS: Final = "grp, waiting, delayed, active, turn, paused, limits"
IN_LINE: Final = f"""
    SELECT {FIELDS} FROM job_group
    WHERE queue = ? AND waiting > 0 AND paused = 0 AND turn > ? ORDER BY turn LIMIT ?
"""
GET: Final = f"SELECT {FIELDS} FROM job_group WHERE queue = ? AND grp = ?"
SUMS: Final = "SELECT coalesce(sum(waiting + delayed), 0), count(*) FROM job_group WHERE queue = ?"


def begin(tx: Tx, queue: QueueRow) -> None:
    """A queue is about to get a job with a group; the first one in this file brings the triggers."""
    queue.grouped = True
    if not tx.queues.counts_groups:
        for statement in GROUP_TRIGGERS:
            tx.execute(statement)
        tx.queues.counts_groups = True
        tx.undo.append(lambda: setattr(tx.queues, "counts_groups", False))


def in_line(tx: Tx, queue: QueueRow, after_turn: int, limit: int) -> list[GroupRow]:
    """Groups with waiting jobs, by their turn."""
    return [GroupRow._make(row) for row in tx.execute(IN_LINE, (queue.id, after_turn, limit)).fetchall()]


def get(tx: Tx, queue: QueueRow, name: str) -> GroupRow | None:
    row = tx.execute(GET, (queue.id, name)).fetchone()
    return None if row is None else GroupRow._make(row)


def queued_count(tx: Tx, queue: QueueRow) -> int:
    """Queued jobs of all groups of a queue."""
    count: int = tx.execute(SUMS, (queue.id,)).fetchone()[0]
    return count


LEASE: Final = f"""
    UPDATE job
    SET state = {LEASED:d}, lease_no = lease_no + 1, lease_ms = ?1, deadline_ms = ?2, lost = 0, owner = ?3,
        started_at_ms = ?4, heartbeat_at_ms = ?4
    WHERE seq = (
        SELECT seq FROM job
        WHERE queue = ?5 AND grp = ?6 AND state = {State.WAITING:d}
        ORDER BY priority, seq LIMIT 1)
    RETURNING {COLUMNS}
"""
NEXT_TURN: Final = """
    UPDATE job_group
    SET turn = 1 + max(turn, (SELECT coalesce(max(turn), 0) FROM job_group WHERE queue = ?1 AND waiting > 0))
    WHERE queue = ?1 AND grp = ?2
"""


def lease_one(tx: Tx, queue: QueueRow, name: str, owner: str | None, lease_ms: int) -> Job | None:
    """Hand out the next job of a group and send the group to the end of the line."""
    now = tx.now_ms
    rows: list[tuple[Any, ...]] = tx.execute(LEASE, (lease_ms, now + lease_ms, owner, now, queue.id, name)).fetchall()
    if not rows:
        return None
    tx.execute(NEXT_TURN, (queue.id, name))
    job = as_job(tx, rows[0], queue.name)
    job.state = LEASED
    return job


ENSURE: Final = "INSERT OR IGNORE INTO job_group (queue, grp, turn) VALUES (?, ?, 0)"
PAUSE: Final = "UPDATE job_group SET paused = ?1 WHERE queue = ?2 AND grp = ?3 AND paused <> ?1"
LIMIT: Final = "UPDATE job_group SET limits = ? WHERE queue = ? AND grp = ?"


def pause(tx: Tx, queue: QueueRow, name: str, *, paused: bool) -> bool:
    """Whether that changed anything."""
    tx.execute(ENSURE, (queue.id, name))
    return tx.execute(PAUSE, (int(paused), queue.id, name)).rowcount == 1


def store_limits(tx: Tx, queue: QueueRow, name: str, limits: GroupLimits) -> None:
    tx.execute(ENSURE, (queue.id, name))
    blob = None if limits == GroupLimits() else _encode(limits)
    tx.execute(LIMIT, (blob, queue.id, name))


HAS_GROUPS: Final = "SELECT DISTINCT queue FROM job_group"
HAS_TRIGGERS: Final = "SELECT count(*) FROM sqlite_schema WHERE type = 'trigger'"


def load(db: sqlite3.Connection, queues: Queues) -> None:
    """Tell which queues have groups, at open."""
    queues.counts_groups = db.execute(HAS_TRIGGERS).fetchone()[0] == len(GROUP_TRIGGERS)
    for (id,) in db.execute(HAS_GROUPS).fetchall():
        if id in queues.by_id:
            queues.by_id[id].grouped = True


PRUNE: Final = """
    DELETE FROM job_group
    WHERE waiting = 0 AND delayed = 0 AND active = 0 AND paused = 0 AND limits IS NULL
"""
FORGET: Final = """
    DELETE FROM job_group WHERE queue = ?1 AND grp IN (SELECT grp FROM job_group WHERE queue = ?1 LIMIT ?2)
"""


def forget(tx: Tx, queue_id: int, limit: int) -> int:
    """The queue was obliterated: a slice of its groups goes; how many."""
    return tx.execute(FORGET, (queue_id, limit)).rowcount


def prune(tx: Tx) -> None:
    """Forget groups that hold nothing, and windows that are over."""
    tx.execute(PRUNE)
    for row in tx.queues.by_id.values():
        for name in [name for name, window in row.windows.items() if window.over(tx.now_ms)]:
            del row.windows[name]
