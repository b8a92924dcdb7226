"""Reading many jobs: pages by index and seq cursor, never a scan of the backlog."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from hubqueue.model.job import Job
from hubqueue.model.state import State
from hubqueue.store.jobs import COLUMNS, as_job
from hubqueue.store.queues import QueueRow
from hubqueue.store.slices import SLICE_BYTES, WEIGHT, light
from hubqueue.store.tx import Tx, padded

LAST: Final = 1 << 62
ANY_BYTES: Final = 1 << 62


def _seqs(states: int, *, ascending: bool) -> str:
    """Seqs of several states as one ordered stream: each part comes by job_list, SQLite merges them as it goes."""
    part, order = ("seq > ?2", "ASC") if ascending else ("seq < ?2", "DESC")
    parts = [f"SELECT seq FROM job WHERE queue = ?1 AND state = ?{5 + n} AND {part}" for n in range(states)]
    return f"{' UNION ALL '.join(parts)} ORDER BY seq {order} LIMIT ?3 OFFSET ?4"


SEQS: Final = {(n, up): _seqs(n, ascending=up) for n in range(1, 7) for up in (True, False)}
ROWS: Final = f"SELECT {COLUMNS} FROM job WHERE seq IN "


def page(
    tx: Tx, queue: QueueRow, states: Sequence[State], *, limit: int, cursor: int | None, offset: int, ascending: bool
) -> list[Job]:
    """Up to `limit` jobs of these states in order of seq, after the cursor or after `offset` jobs."""
    start = cursor if cursor is not None else (-1 if ascending else LAST)
    sql = SEQS[len(states), ascending]
    seqs = [seq for (seq,) in tx.execute(sql, (queue.id, start, limit, offset, *states)).fetchall()]
    rows: list[tuple[Any, ...]] = []
    for marks, values in padded(seqs):
        rows += tx.execute(f"{ROWS} ({marks})", values).fetchall()
    rows.sort(key=lambda row: row[0], reverse=not ascending)
    return [as_job(tx, row, queue.name) for row in rows]


PLAIN_PRIORITIES: Final = """
    SELECT priority, count(*) FROM job
    WHERE queue = ? AND state = 0 AND grp IS NULL AND priority {} 0
    GROUP BY priority
"""
GROUPED_PRIORITIES: Final = """
    SELECT priority, count(*) FROM job WHERE queue = ? AND state = 0 AND grp IS NOT NULL AND priority <> 0
    GROUP BY priority
"""
RAISED: Final = PLAIN_PRIORITIES.format(">")
LOWERED: Final = PLAIN_PRIORITIES.format("<")


def waiting_by_priority(tx: Tx, queue: QueueRow) -> Counter[int]:
    """Waiting jobs by priority, but those of priority 0. Reads an index entry for each."""
    found: Counter[int] = Counter()
    for sql in (RAISED, LOWERED, *((GROUPED_PRIORITIES,) if queue.grouped else ())):
        found.update(dict(tx.execute(sql, (queue.id,)).fetchall()))
    return found


DELAYED: Final = """
    SELECT priority, count(*) FROM job INDEXED BY job_delayed WHERE queue = ? AND state = 1 AND priority <> 0
    GROUP BY priority
"""


def delayed_by_priority(tx: Tx, queue: QueueRow) -> Counter[int]:
    """Delayed jobs by priority, but those of priority 0. Reads an index entry for each delayed job."""
    return Counter(dict(tx.execute(DELAYED, (queue.id,)).fetchall()))


OLDEST_WAITING: Final = """
    SELECT min(CASE WHEN ord > 0 THEN ord ELSE run_at_ms END)
    FROM (SELECT ord, run_at_ms FROM job WHERE queue = ? AND state = 0 ORDER BY seq LIMIT 8)
"""


def oldest_waiting_ms(tx: Tx, queue: QueueRow) -> int | None:
    """Since when the first in line waits: when it became due, by the hub's clock; None if there is none.

    The longest of those accepted first: a retry does not hide what is behind it. (`ord` is that time, but for LIFO.)
    """
    value: int | None = tx.execute(OLDEST_WAITING, (queue.id,)).fetchone()[0]
    return value


HEADS: Final = f"""
    SELECT seq, flags, priority, {WEIGHT} FROM job WHERE queue = ? AND state = ? AND seq > ? ORDER BY seq LIMIT ?
"""


def heads(
    tx: Tx, queue_id: int, state: State, limit: int, most_bytes: int = SLICE_BYTES, *, after: int = -1
) -> list[tuple[int, int, int]]:
    """(seq, flags, priority) of the oldest jobs of a state behind `after`: a slice, unless more bytes are allowed."""
    rows = light(tx.execute(HEADS, (queue_id, state, after, limit)), lambda row: row[3], most_bytes)
    return [(seq, flags, priority) for seq, flags, priority, _ in rows]


AGED: Final = f"""
    SELECT seq, flags, priority, {WEIGHT}, coalesce(finished_at_ms, created_at_ms) FROM job
    WHERE queue = ? AND state = ? ORDER BY seq LIMIT ?
"""


def aged(tx: Tx, queue: QueueRow, state: State, before_ms: int, limit: int) -> list[tuple[int, int, int]]:
    """The oldest jobs of a state, up to the first that ended after `before_ms`.

    Age follows seq but for jobs that ran very long: behind such a one the others wait until it is old enough.
    """
    old = []
    for seq, flags, priority, _, ended_ms in light(tx.execute(AGED, (queue.id, state, limit)), lambda row: row[3]):
        if ended_ms > before_ms:
            break
        old.append((seq, flags, priority))
    return old


FIRST_ENDED: Final = """
    SELECT coalesce(finished_at_ms, created_at_ms) FROM job WHERE queue = ? AND state = ? ORDER BY seq LIMIT 1
"""


def first_ended_ms(tx: Tx, queue: QueueRow, state: State) -> int | None:
    """When the first accepted of a state ended: `aged` finds nothing before that is old enough."""
    row = tx.execute(FIRST_ENDED, (queue.id, state)).fetchone()
    return None if row is None else row[0]


LOOKED_AT: Final = 2000  # rows of one step, whether they are old enough or not
ENDED: Final = f"""
    SELECT seq, flags, priority, {WEIGHT}, coalesce(finished_at_ms, created_at_ms) FROM job
    WHERE queue = ? AND state = ? AND seq > ? ORDER BY seq LIMIT ?
"""


def all_aged(
    tx: Tx, queue: QueueRow, state: State, before_ms: int, after_seq: int, limit: int
) -> tuple[list[tuple[int, int, int]], int | None]:
    """A slice of those of a state that ended (or, unfinished, were created) by `before_ms`, in order of seq.

    A step at a time: also the seq to go on after, None at the end.
    """
    old: list[tuple[int, int, int]] = []
    left, last = SLICE_BYTES, after_seq
    looked_at = tx.execute(ENDED, (queue.id, state, after_seq, LOOKED_AT)).fetchall()
    for seq, flags, priority, weight, ended_ms in looked_at:
        if ended_ms <= before_ms:
            left -= weight
            if old and left < 0:
                return old, last
            old.append((seq, flags, priority))
            if len(old) == limit:
                return old, seq
        last = seq
    return old, last if len(looked_at) == LOOKED_AT else None


RECOUNT: Final = """
    SELECT queue, state, count(*), sum(state = 0 AND priority > 0) FROM job GROUP BY queue, state
"""


def recount(tx: Tx) -> dict[tuple[int, int], tuple[int, int]]:
    """(queue, state) -> (jobs, of which prioritized), counted row by row: for `doctor`."""
    return {(queue, state): (n, raised) for queue, state, n, raised in tx.execute(RECOUNT).fetchall()}
