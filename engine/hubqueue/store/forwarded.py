"""Ids of forwarded jobs, `fwd:<hub_id>:<queue>:<seq>`, kept as integers by source. Called by `ids`; floors by enqueue.

An id is known while its job's row is there, and after that until the sender's floor has passed it, its time is over,
or too many are kept. Those whose rows are gone are counted per source, in the transaction that changes their number:
counting millions would take seconds.
"""

from __future__ import annotations

from collections import Counter
from typing import Final, NamedTuple

from hubqueue.store.tx import Tx

FORWARD: Final = "fwd:"


class ForwardId(NamedTuple):
    """The parts of a forwarder's id."""

    hub_id: str
    queue: str
    seq: int


def parse_forward(custom_id: str) -> ForwardId | None:
    """The parts of `fwd:<hub_id>:<queue>:<seq>`; None for any other id (queue names may hold colons)."""
    if not custom_id.startswith(FORWARD):
        return None
    hub_id, _, rest = custom_id[len(FORWARD) :].partition(":")
    queue, _, digits = rest.rpartition(":")
    if not hub_id or not queue or not digits.isascii() or not digits.isdigit() or len(digits) > 16:
        return None
    return ForwardId(hub_id, queue, int(digits)) if str(int(digits)) == digits else None


SOURCE: Final = "SELECT id, floor FROM forward_source WHERE hub_id = ? AND queue = ?"
FORWARDED: Final = """
    SELECT forward_id.seq, job.state, job.queue
    FROM forward_id LEFT JOIN job ON job.seq = forward_id.seq
    WHERE source = ? AND source_seq = ?
"""
PASSED: Final = -1  # the seq of a job that the floor has passed: nobody knows it any more


def find(tx: Tx, forward: ForwardId) -> tuple[int, int | None] | None:
    """(seq, state) of the job with this id, state None when its row is gone; None for an id that is not known."""
    source = tx.execute(SOURCE, forward[:2]).fetchone()
    if source is None:
        return None
    row = tx.execute(FORWARDED, (source[0], forward.seq)).fetchone()
    if row is not None:
        return row[0], row[1] if row[2] in tx.queues.by_id else None
    return (PASSED, None) if forward.seq < source[1] else None


NEW_SOURCE: Final = "INSERT OR IGNORE INTO forward_source (hub_id, queue) VALUES (?, ?)"
CLAIM: Final = """
    INSERT OR REPLACE INTO forward_id (source, source_seq, seq)
    SELECT id, ?3, ?4 FROM forward_source WHERE hub_id = ?1 AND queue = ?2
"""


def claim(tx: Tx, forward: ForwardId, seq: int) -> None:
    """Give the id to a job."""
    if tx.execute(CLAIM, (*forward, seq)).rowcount == 0:
        tx.execute(NEW_SOURCE, forward[:2])
        tx.execute(CLAIM, (*forward, seq))


FLOOR_SLICE: Final = 2000  # ids passed by the floor in one go, so that no step is long; the next batch goes on
BEYOND_SLICE: Final = """
    SELECT source_seq FROM forward_id
    WHERE source = ? AND source_seq >= ? AND source_seq < ?
    ORDER BY source_seq LIMIT 1 OFFSET ?
"""
BELOW_FLOOR: Final = """
    DELETE FROM forward_id
    WHERE source = ? AND source_seq >= ? AND source_seq < ? AND gone_at_ms IS NOT NULL
"""
RAISE_FLOOR: Final = "UPDATE forward_source SET floor = ?, gone = gone - ? WHERE id = ?"


def raise_floor(tx: Tx, hub_id: str, queue: str, floor: int) -> None:
    """The sender has settled everything below `floor`: ids below it are known without being kept.

    Those of jobs that are still here are kept as long as their row: callers name the job by its id.
    """
    source = tx.execute(SOURCE, (hub_id, queue)).fetchone()
    if source is None or floor <= source[1]:
        return
    beyond = tx.execute(BEYOND_SLICE, (*source, floor, FLOOR_SLICE)).fetchone()
    reached = floor if beyond is None else beyond[0]
    forgotten = tx.execute(BELOW_FLOOR, (*source, reached)).rowcount
    tx.execute(RAISE_FLOOR, (reached, forgotten, source[0]))


FORGET: Final = """
    DELETE FROM forward_id
    WHERE source = (SELECT id FROM forward_source WHERE hub_id = ?1 AND queue = ?2 AND floor > ?3) AND source_seq = ?3
"""
REMEMBER: Final = """
    UPDATE forward_id SET gone_at_ms = ?4
    WHERE source = (SELECT id FROM forward_source WHERE hub_id = ?1 AND queue = ?2) AND source_seq = ?3
        AND gone_at_ms IS NULL
"""
MORE_GONE: Final = "UPDATE forward_source SET gone = gone + ? WHERE hub_id = ? AND queue = ?"


def release(tx: Tx, finished: list[tuple[ForwardId, int]]) -> None:
    """The rows of these jobs go: each id is remembered from when its job finished, unless the floor has passed it."""
    gone: Counter[tuple[str, str]] = Counter()
    for forward, finished_at_ms in finished:
        if not tx.execute(FORGET, forward).rowcount:
            gone[forward[:2]] += tx.execute(REMEMBER, (*forward, finished_at_ms)).rowcount
    for source, count in gone.items():
        tx.execute(MORE_GONE, (count, *source))


TOKEN: Final = "SELECT token FROM forward_source WHERE hub_id = ? AND queue = ?"
BIND: Final = "UPDATE forward_source SET token = ? WHERE hub_id = ? AND queue = ?"


def token_of(tx: Tx, hub_id: str, queue: str) -> str | None:
    """The token that sends this source's ids; None while that is nobody's."""
    row = tx.execute(TOKEN, (hub_id, queue)).fetchone()
    return None if row is None else row[0]


def bind(tx: Tx, hub_id: str, queue: str, token: str) -> None:
    """From now on the ids of this source are this token's."""
    tx.execute(NEW_SOURCE, (hub_id, queue))
    tx.execute(BIND, (token, hub_id, queue))


GONE: Final = "SELECT coalesce(sum(gone), 0) FROM forward_source"
OLDEST: Final = """
    SELECT source, source_seq FROM forward_id
    WHERE gone_at_ms IS NOT NULL AND gone_at_ms <= ?
    ORDER BY gone_at_ms LIMIT ?
"""
DROP: Final = "DELETE FROM forward_id WHERE source = ? AND source_seq = ?"
FEWER_GONE: Final = "UPDATE forward_source SET gone = gone - ? WHERE id = ?"


def expire(tx: Tx, before_ms: int, kept: int, limit: int) -> int:
    """Forget ids of jobs that are gone since before_ms, and the oldest beyond `kept`; at most `limit` of each."""
    old = tx.execute(OLDEST, (before_ms, limit)).fetchall()
    over = tx.execute(GONE).fetchone()[0] - len(old) - kept
    if over > 0 and len(old) < limit:
        old = tx.execute(OLDEST, (tx.now_ms, len(old) + min(over, limit))).fetchall()
    for row in old:
        tx.execute(DROP, row)
    for source, count in Counter(source for source, _ in old).items():
        tx.execute(FEWER_GONE, (count, source))
    return len(old)
