"""Changes to jobs outside a run: data, priority, delay, state. Each SQL above its function."""

from __future__ import annotations

from typing import Final

from hubqueue.model.job import Flag
from hubqueue.model.state import State
from hubqueue.store.slices import WEIGHT, light
from hubqueue.store.tx import Tx

SET_DATA: Final = "UPDATE job SET data = ? WHERE seq = ?"


def set_data(tx: Tx, seq: int, data: bytes | None) -> None:
    tx.execute(SET_DATA, (data, seq))


SET_PRIORITY: Final = "UPDATE job SET priority = ?, ord = ?, flags = ? WHERE seq = ?"


def set_priority(tx: Tx, seq: int, priority: int, ord: int, flags: int) -> None:
    tx.execute(SET_PRIORITY, (priority, ord, flags, seq))


MOVE: Final = """
    UPDATE job
    SET state = ?, ord = ?, run_at_ms = ?, flags = ?, lease_no = lease_no + ?, deadline_ms = NULL, started_at_ms = NULL,
        lost = 0
    WHERE seq = ?
"""


def move(tx: Tx, seq: int, state: State, ord: int, run_at_ms: int, flags: int, *, fence: bool) -> None:
    """Queue a job that is not settled by this: delayed, promoted, taken from its worker (fence voids the token)."""
    tx.execute(MOVE, (state, ord, run_at_ms, flags, int(fence), seq))


SET_FLAGS: Final = "UPDATE job SET flags = ? WHERE seq = ?"


def set_flags(tx: Tx, seq: int, flags: int) -> None:
    tx.execute(SET_FLAGS, (flags, seq))


CLEAR_FLAG: Final = "UPDATE job SET flags = flags & ~? WHERE seq = ?"


def clear_flag(tx: Tx, seq: int, flag: int) -> None:
    tx.execute(CLEAR_FLAG, (flag, seq))


RESTART: Final = f"""
    UPDATE job
    SET state = ?, ord = CASE WHEN flags & 128 THEN -seq ELSE ? END, run_at_ms = ?, attempts = 0,
        stall_count = 0, lost_count = 0, restarts = 0, progress = 0, result = NULL, finished_at_ms = NULL,
        started_at_ms = NULL, expires_at_ms = ?, lease_no = lease_no + 1, history = ?,
        flags = ((CASE WHEN state = {State.COMPLETED:d} THEN flags & ~65536 ELSE flags END) & ~(512 | 64 | 131072)) | ?
    WHERE seq = ?
"""


def restart(tx: Tx, seq: int, state: State, history: bytes | None, keep_trying_ms: int | None) -> None:
    """A finished job waits again, with all its attempts and not cancelled. Its old tokens are void.

    It is kept trying as long as a new one; a ttl counts no more. A completed one has had its successor.
    """
    ends_at_ms, flag = (None, 0) if keep_trying_ms is None else (tx.now_ms + keep_trying_ms, Flag.KEEP_TRYING)
    tx.execute(RESTART, (state, tx.ord_ms, tx.now_ms, ends_at_ms, history, flag, seq))
    if ends_at_ms is not None:
        tx.due(ends_at_ms)


ORD: Final = "SELECT ord FROM job WHERE seq = ?"


def ord_of(tx: Tx, seq: int) -> int:
    value: int = tx.execute(ORD, (seq,)).fetchone()[0]
    return value


# One statement for all: whoever looked for jobs of one state among many others that are due would do so in every slice.
# While a job runs nothing ends it, and while it waits for others its ttl does not count.
DUE: Final = "expires_at_ms IS NOT NULL AND (state IN (0, 1, 5) OR (state = 3 AND flags & 131072))"
DUE_ENDS: Final = f"""
    SELECT seq, queue, state, priority, flags, {WEIGHT} FROM job
    WHERE {DUE} AND expires_at_ms <= ? ORDER BY expires_at_ms, seq LIMIT ?
"""


def due_ends(tx: Tx, limit: int) -> list[tuple[int, int, int, int, int]]:
    """A slice of the jobs whose time is over, and of the dead letters that are to be tried again now.

    (seq, queue, state, priority, flags) of each, the earliest first.
    """
    rows = light(tx.execute(DUE_ENDS, (tx.now_ms, limit)), lambda row: row[5])
    return [row[:5] for row in rows]


KEEP_DEAD: Final = "UPDATE job SET expires_at_ms = NULL, history = ? WHERE seq = ?"


def keep_dead(tx: Tx, seq: int, history: bytes | None) -> None:
    """A dead letter is not tried again by itself."""
    tx.execute(KEEP_DEAD, (history, seq))


NEXT_END: Final = f"SELECT min(expires_at_ms) FROM job WHERE {DUE}"


def next_end_ms(tx: Tx) -> int | None:
    """When `due_ends` finds the next."""
    value: int | None = tx.execute(NEXT_END).fetchone()[0]
    return value
