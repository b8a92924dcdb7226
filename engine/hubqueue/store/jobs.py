"""Jobs coming in and going out: insert, lease, and the reads that settling needs. Each SQL above its function."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from hubqueue.model.job import Enqueueable, Job
from hubqueue.model.state import Move, State
from hubqueue.store.queues import QueueRow
from hubqueue.store.tx import Tx, padded

# the columns of model.job.Job after id and queue, in its order
COLUMNS: Final = """
    seq, state, flags, priority, name, data, run_at_ms, created_at_ms, attempts, max_attempts, lease_no,
    stall_count, lost_count, started_at_ms, heartbeat_at_ms, deadline_ms, finished_at_ms, expires_at_ms, progress,
    owner, custom_id, options, history, result
"""
WIDTH: Final = 24  # how many columns these are
CUSTOM_ID: Final = 20  # the place of this one
STATES: Final = tuple(State)

ROWS: Final = 50  # rows of one multi-row INSERT: 50 are as fast as 500 and bind 200 values

_PLAIN_HEAD: Final = (
    "INSERT INTO job (seq, queue, state, priority, ord, run_at_ms, created_at_ms, max_attempts, name, data) VALUES "
)


def _plain_insert(rows: int) -> str:
    """Parameters: ?1 queue, ?2 ord, ?3 time, ?4 first seq, then priority, max_attempts, name, data of each row."""
    state = Move.ENQUEUE.to(None, State.WAITING)
    values = []
    for row in range(rows):
        p = 5 + 4 * row
        values.append(f"(?4 + {row}, ?1, {state:d}, ?{p}, ?2, ?3, ?3, ?{p + 1}, ?{p + 2}, ?{p + 3})")
    return _PLAIN_HEAD + ", ".join(values)


INSERT_PLAIN: Final = {rows: _plain_insert(rows) for rows in (1, 10, ROWS)}


def insert_plain(tx: Tx, queue: QueueRow, first_seq: int, jobs: Sequence[Enqueueable]) -> int:
    """Store waiting jobs that have no rare option, with consecutive seqs; how many have a priority above 0."""
    execute = tx.execute
    at = raised = 0
    left = len(jobs)
    head: list[Any] = [queue.id, tx.ord_ms, tx.now_ms, 0]
    while left:
        rows = ROWS if left >= ROWS else 10 if left >= 10 else 1
        head[3] = first_seq + at
        values = head.copy()
        extend = values.extend
        for job in jobs[at : at + rows] if left != rows or at else jobs:
            data = job.data
            raised += job.priority > 0
            extend((job.priority, job.max_attempts, job.name, None if data is None else bytes(data)))
        execute(INSERT_PLAIN[rows], values)
        at += rows
        left -= rows
    return raised


class NewRow(NamedTuple):
    """One row for INSERT, in the order of its columns."""

    seq: int
    queue: int
    state: State
    flags: int
    priority: int
    ord: int
    run_at_ms: int
    created_at_ms: int
    attempts: int
    max_attempts: int
    finished_at_ms: int | None
    expires_at_ms: int | None
    name: str
    custom_id: str | None
    grp: str | None
    options: bytes | None
    history: bytes | None
    data: bytes | None


INSERT: Final = f"INSERT INTO job ({', '.join(NewRow._fields)}) VALUES ({', '.join('?' * len(NewRow._fields))})"


def insert(tx: Tx, row: NewRow) -> None:
    tx.execute(INSERT, row)


LEASED: Final = Move.LEASE.to(State.WAITING, State.ACTIVE)
LEASE: Final = f"""
    UPDATE job
    SET state = {LEASED:d}, lease_no = lease_no + 1, lease_ms = ?1, deadline_ms = ?2, lost = 0, owner = ?3,
        started_at_ms = ?4, heartbeat_at_ms = ?4
    WHERE seq IN (
        SELECT seq FROM job
        WHERE queue = ?5 AND state = {State.WAITING:d} AND grp IS NULL
        ORDER BY priority DESC, ord, seq LIMIT ?6)
    RETURNING {COLUMNS}, ord
"""


def lease(tx: Tx, queue: QueueRow, count: int, owner: str | None, lease_ms: int) -> list[Job]:
    """Make up to `count` waiting jobs active; best first. RETURNING comes in rowid order, so it is sorted here."""
    now = tx.now_ms
    rows = tx.execute(LEASE, (lease_ms, now + lease_ms, owner, now, queue.id, count)).fetchall()
    if len(rows) > 1:
        rows.sort(key=_place)
    public_id, name = tx.identity.public_id, queue.name
    jobs = []
    for row in rows:
        job = Job(row[CUSTOM_ID] or public_id(row[0]), name, *row[:WIDTH])
        job.state = LEASED
        jobs.append(job)
    return jobs


NEXT: Final = """
    SELECT data FROM job WHERE queue = ? AND state = 0 AND grp IS NULL ORDER BY priority DESC, ord, seq LIMIT ?
"""
NEXT_BYTES: Final = f"SELECT sum(length(data)) FROM ({NEXT})"
NEXT_WITHIN: Final = f"""
    SELECT count(*)
    FROM (SELECT sum(length(data)) OVER (ROWS UNBOUNDED PRECEDING) AS total FROM ({NEXT}))
    WHERE total <= ?
"""


def next_within(tx: Tx, queue: QueueRow, count: int, max_bytes: int) -> int:
    """How many of the next `count` waiting jobs have no more than max_bytes of data together; at least 1."""
    (total,) = tx.execute(NEXT_BYTES, (queue.id, count)).fetchone()
    if total is None or total <= max_bytes:
        return count
    fitting: int = tx.execute(NEXT_WITHIN, (queue.id, count, max_bytes)).fetchone()[0]
    return max(1, fitting)


def _place(row: tuple[Any, ...]) -> tuple[int, int, int]:
    return (-row[3], row[WIDTH], row[0])


def as_job(tx: Tx, row: tuple[Any, ...], queue_name: str) -> Job:
    """A row of COLUMNS as a Job."""
    job = Job(row[CUSTOM_ID] or tx.identity.public_id(row[0]), queue_name, *row)
    job.state = STATES[job.state]
    return job


GET: Final = f"SELECT {COLUMNS}, queue FROM job WHERE seq = ?"


def get(tx: Tx, seq: int) -> tuple[Job, QueueRow] | None:
    """The whole job, or None."""
    row = tx.execute(GET, (seq,)).fetchone()
    if row is None:
        return None
    queue = tx.queues.by_id.get(row[WIDTH])
    return None if queue is None else (as_job(tx, row[:WIDTH], queue.name), queue)


class LeaseRow(NamedTuple):
    """What settling needs to know of a job."""

    seq: int
    queue: int
    state: int
    flags: int
    lease_no: int
    owner: str | None
    priority: int
    started_at_ms: int | None


GRIPS: Final = "SELECT seq, queue, state, flags, lease_no, owner, priority, started_at_ms FROM job WHERE seq IN "


def lease_rows(tx: Tx, seqs: Sequence[int]) -> dict[int, LeaseRow]:
    """By seq, for those that exist; jobs of an obliterated queue do not, their rows only wait to be deleted."""
    found: dict[int, LeaseRow] = {}
    queues = tx.queues.by_id
    for marks, values in [("?", seqs)] if len(seqs) == 1 else padded(seqs):
        for row in tx.execute(f"{GRIPS} ({marks})", values).fetchall():
            if row[1] in queues:
                found[row[0]] = LeaseRow._make(row)
    return found


COMPLETE_THEM: Final = f"""
    UPDATE job
    SET state = {Move.COMPLETE.to(State.ACTIVE, State.COMPLETED):d},
        finished_at_ms = ?, deadline_ms = NULL, progress = 100, expires_at_ms = NULL, result = ?
    WHERE seq
"""
COMPLETE: Final = f"{COMPLETE_THEM} = ?"
COMPLETE_ALIKE: Final = f"{COMPLETE_THEM} IN"


def complete(tx: Tx, seqs: Sequence[int], results: Sequence[bytes | None]) -> None:
    """Active jobs become completed. Their tokens have been checked in this transaction."""
    now = tx.now_ms
    if len(seqs) == 1:
        tx.execute(COMPLETE, (now, results[0], seqs[0]))
    elif len(set(results)) == 1:  # no result, or the same null for all: a statement for many
        for marks, values in padded(seqs):
            tx.execute(f"{COMPLETE_ALIKE} ({marks})", [now, results[0], *values])
    else:
        tx.db.executemany(COMPLETE, [(now, result, seq) for seq, result in zip(seqs, results, strict=True)])


def delete(tx: Tx, seqs: Sequence[int]) -> None:
    """Remove rows; their counters and ids are the caller's."""
    for marks, values in padded(seqs):
        tx.execute(f"DELETE FROM job WHERE seq IN ({marks})", values)


UNSETTLE: Final = """
    UPDATE job
    SET state = ?, ord = coalesce(?, ord), run_at_ms = ?, attempts = ?, stall_count = ?, lost_count = ?, history = ?,
        lease_no = lease_no + ?, deadline_ms = NULL, started_at_ms = NULL, lost = 0, flags = flags & ~1024
    WHERE seq = ?
"""


def requeue(
    tx: Tx, job: Job, state: State, ord: int | None, run_at_ms: int, history: bytes | None, *, fence: bool
) -> None:
    """An active job goes back. ord None keeps its place; fence voids its token, which did not settle it itself."""
    tx.execute(
        UNSETTLE,
        (
            state,
            ord,
            run_at_ms,
            job.attempts,
            job.stall_count,
            job.lost_count,
            history,
            int(fence),
            job.seq,
        ),
    )


BURY: Final = """
    UPDATE job
    SET state = ?, attempts = ?, stall_count = ?, lost_count = ?, history = ?, lease_no = lease_no + ?,
        finished_at_ms = ?, deadline_ms = NULL, expires_at_ms = ?, lost = 0
    WHERE seq = ?
"""


def bury(tx: Tx, job: Job, state: State, history: bytes | None, *, fence: bool, retry_at_ms: int | None = None) -> None:
    """A job becomes a dead letter; retry_at_ms: until then."""
    counts = job.attempts, job.stall_count, job.lost_count
    tx.execute(BURY, (state, *counts, history, int(fence), tx.now_ms, retry_at_ms, job.seq))


RELEASE: Final = f"""
    UPDATE job
    SET state = {Move.RELEASE.to(State.ACTIVE, State.WAITING):d}, deadline_ms = NULL, started_at_ms = NULL, lost = 0,
        lease_no = lease_no + ?
    WHERE state = {State.ACTIVE:d} AND seq = ? AND lease_no = ?
"""


def release(db: sqlite3.Connection, seq: int, lease_no: int, *, fence: bool) -> bool:
    """Give an active job back at its old place; nothing is counted. False: the lease is not current.

    fence: as in `requeue`.
    """
    return db.execute(RELEASE, (int(fence), seq, lease_no)).rowcount == 1
