"""First answers to requests that may be sent again, kept in the transaction that did what they asked for.

A request is known by a key of its sender; `request` tells whether the same thing is asked for again.
Bounded by time and in bytes; the oldest go first.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from hubqueue.store.tx import Tx

MOST_BYTES: Final = 64 * 1024 * 1024  # of answers kept
ROW_BYTES: Final = 128  # what an answer takes beside its reply
SWEPT: Final = 4  # old ones that one new answer takes away, and as many again as could fill its place: no step is long


class Answer(NamedTuple):
    """What was asked for under a key, and what was answered."""

    request: bytes
    reply: bytes


GET: Final = "SELECT request, reply FROM answer WHERE key = ? AND expires_at_ms > ?"


def get(tx: Tx, key: bytes) -> Answer | None:
    row = tx.execute(GET, (key, tx.now_ms)).fetchone()
    return None if row is None else Answer(bytes(row[0]), bytes(row[1]))


SWEEP: Final = """
    DELETE FROM answer
    WHERE place IN (SELECT place FROM answer ORDER BY place LIMIT ?)
        AND (expires_at_ms <= ? OR place <= (SELECT max(place) FROM answer) - ?)
"""
PUT: Final = """
    INSERT OR REPLACE INTO answer (place, key, request, reply, expires_at_ms)
    SELECT coalesce(max(place), 0) + ?, ?, ?, ?, ? FROM answer
"""


def put(tx: Tx, key: bytes, answer: Answer, expires_at_ms: int) -> None:
    size = ROW_BYTES + len(answer.reply)
    tx.execute(SWEEP, (SWEPT + size // ROW_BYTES, tx.now_ms, MOST_BYTES))
    tx.execute(PUT, (size, key, answer.request, answer.reply, expires_at_ms))
