"""Who waits for whom. Rows exist for jobs of flows alone and go with the job that waits."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from hubqueue.model.flow import Ended
from hubqueue.model.state import State
from hubqueue.store.tx import Tx, padded


class Edge(NamedTuple):
    """One dependency of one job. label: `<queue>:<id>` of what is waited for; valued: its result or error is kept."""

    dependent: int
    dependency: int
    child: int
    outcome: int
    place: int
    label: str
    valued: int = 0


FIELDS: Final = "dependent, dependency, child, outcome, place, label, value IS NOT NULL"
ADD: Final = """
    INSERT OR IGNORE INTO dependency (dependent, dependency, child, outcome, place, label, value)
    VALUES (?, ?, ?, ?, ?, ?, ?)
"""
OF: Final = f"SELECT {FIELDS} FROM dependency WHERE dependent = ? ORDER BY place"
ON: Final = f"SELECT {FIELDS} FROM dependency WHERE dependency = ?"
PENDING: Final = "SELECT count(*) FROM dependency WHERE dependent = ? AND outcome = 0"
END: Final = "UPDATE dependency SET outcome = ?, value = ? WHERE dependent = ? AND dependency = ?"
END_ALL: Final = "UPDATE dependency SET outcome = 1 WHERE dependent = ? AND outcome = 0"
WAIT_AGAIN: Final = """
    UPDATE dependency SET outcome = 0
    WHERE dependent = ? AND outcome = 1
      AND EXISTS (SELECT 1 FROM job WHERE job.seq = dependency.dependency AND job.state < 4)
"""
CUT: Final = "DELETE FROM dependency WHERE dependent = ? AND dependency = ?"


def add(tx: Tx, edge: Edge, value: bytes | None) -> None:
    """Nothing happens if the edge is there already."""
    tx.execute(ADD, (*edge[:-1], value))


def of(tx: Tx, dependent: int) -> list[Edge]:
    """What a job waits for, in the order it was said."""
    return [Edge._make(row) for row in tx.execute(OF, (dependent,)).fetchall()]


def on(tx: Tx, dependency: int) -> list[Edge]:
    """Who waits for a job."""
    return [Edge._make(row) for row in tx.execute(ON, (dependency,)).fetchall()]


VALUES: Final = """
    SELECT label, value FROM dependency
    WHERE dependent = ? AND child = 1 AND outcome = ? AND value IS NOT NULL
    ORDER BY place
"""
VALUE_BYTES: Final = f"SELECT coalesce(sum(length(value)), 0) FROM ({VALUES})"


def value_bytes(tx: Tx, dependent: int, outcome: Ended) -> int:
    """How large the kept values of its children are together."""
    size: int = tx.execute(VALUE_BYTES, (dependent, outcome)).fetchone()[0]
    return size


def values(tx: Tx, dependent: int, outcome: Ended) -> dict[str, bytes]:
    """Kept results or errors of the children that ended so, by label."""
    return dict(tx.execute(VALUES, (dependent, outcome)).fetchall())


def pending(tx: Tx, dependent: int) -> int:
    """How many dependencies have not ended."""
    count: int = tx.execute(PENDING, (dependent,)).fetchone()[0]
    return count


def end(tx: Tx, edge: Edge, outcome: Ended, value: bytes | None) -> None:
    tx.execute(END, (outcome, value, edge.dependent, edge.dependency))


def end_all(tx: Tx, dependent: int) -> None:
    """The job waits for nothing any more."""
    tx.execute(END_ALL, (dependent,))


def wait_again(tx: Tx, dependent: int) -> None:
    """The job waits for those it went on without, and which have not ended yet."""
    tx.execute(WAIT_AGAIN, (dependent,))


def cut(tx: Tx, edge: Edge) -> None:
    tx.execute(CUT, (edge.dependent, edge.dependency))


def forget(tx: Tx, dependents: list[int]) -> None:
    """The rows of these jobs are about to be deleted."""
    for marks, values in padded(dependents):
        tx.execute(f"DELETE FROM dependency WHERE dependent IN ({marks})", values)


MARK: Final = "UPDATE job SET flags = flags | ? WHERE seq = ?"
HOLD: Final = "UPDATE job SET state = ? WHERE seq = ?"
LET_GO: Final = "UPDATE job SET state = ?, ord = ? WHERE seq = ?"
SET_OPTIONS: Final = "UPDATE job SET options = ? WHERE seq = ?"
WAITER: Final = "SELECT seq, queue, state, flags, priority, run_at_ms, expires_at_ms FROM job WHERE seq = ?"


class Waiter(NamedTuple):
    """What letting a job go needs to know of it."""

    seq: int
    queue: int
    state: int
    flags: int
    priority: int
    run_at_ms: int
    ends_at_ms: int | None


def waiter(tx: Tx, seq: int) -> Waiter | None:
    row: tuple[Any, ...] | None = tx.execute(WAITER, (seq,)).fetchone()
    return None if row is None else Waiter._make(row)


def mark(tx: Tx, seq: int, flag: int) -> None:
    tx.execute(MARK, (flag, seq))


def hold(tx: Tx, seq: int, state: State) -> None:
    """The job waits for others."""
    tx.execute(HOLD, (state, seq))


def let_go(tx: Tx, seq: int, state: State, ord: int) -> None:
    tx.execute(LET_GO, (state, ord, seq))


def set_options(tx: Tx, seq: int, blob: bytes | None) -> None:
    tx.execute(SET_OPTIONS, (blob, seq))
