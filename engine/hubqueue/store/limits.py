"""Limits of queues: stored with the queue, applied at the lease. A queue without limits pays one comparison."""

from __future__ import annotations

import sqlite3
from typing import Final

import msgspec

from hubqueue.model.state import State
from hubqueue.model.throttle import Bucket, QueueLimits
from hubqueue.store.queues import QueueRow
from hubqueue.store.tx import Tx

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(QueueLimits).decode

STORE: Final = "UPDATE queue SET limits = ? WHERE id = ?"
LOAD: Final = "SELECT id, limits FROM queue WHERE limits IS NOT NULL"


def load(db: sqlite3.Connection, rows: dict[int, QueueRow], now_ms: int) -> None:
    """Give the queue rows their limits, at open."""
    for id, blob in db.execute(LOAD).fetchall():
        _apply(rows[id], _decode(blob), now_ms)


def store(tx: Tx, row: QueueRow, limits: QueueLimits) -> None:
    """Set the limits of a queue. Its bucket is full again, and whoever waits may try."""
    before, bucket = row.limits, row.bucket

    def undo() -> None:
        row.limits, row.bucket = before, bucket

    tx.undo.append(undo)
    blank = limits == QueueLimits()
    tx.execute(STORE, (None if blank else _encode(limits), row.id))
    _apply(row, None if blank else limits, tx.now_ms)
    if row.n[State.WAITING]:
        tx.available(row, row.n[State.WAITING])


def allowed(tx: Tx, row: QueueRow, wanted: int) -> int:
    """How many jobs of a limited queue may be handed out now, at most `wanted`."""
    limits = row.limits
    if limits is None:
        return wanted
    if limits.concurrency is not None:
        wanted = min(wanted, max(0, limits.concurrency - row.n[State.ACTIVE]))
    if limits.rate is not None and row.bucket is not None:
        if limits.rate.over(tx.now_ms):
            store(tx, row, QueueLimits(None, limits.concurrency))
            return allowed(tx, row, wanted)
        tokens = row.bucket.available(tx.now_ms)
        if tokens < wanted:
            wanted = max(0, tokens)
            refill(tx, row)
    return wanted


def took(tx: Tx, row: QueueRow, count: int) -> None:
    """So many jobs of a limited queue were handed out."""
    bucket = row.bucket
    if bucket is not None and count:
        bucket.take(count)
        tx.undo.append(lambda: bucket.take(-count))
        if row.n[State.WAITING]:
            refill(tx, row)


def refill(tx: Tx, row: QueueRow) -> None:
    """Let maintenance look at the queue when it has its next token, or when its rate ends by itself."""
    rate = None if row.limits is None else row.limits.rate
    if row.bucket is None or rate is None:
        return
    wait_ms = row.bucket.wait_ms()
    ends = [] if rate.until_ms is None else [rate.until_ms]
    if wait_ms is not None:
        ends.append(tx.now_ms + wait_ms)
    if wait_ms != 0 and ends:
        row.refill_ms = min(ends)
        tx.due(row.refill_ms)


def _apply(row: QueueRow, limits: QueueLimits | None, now_ms: int) -> None:
    row.limits = limits
    row.bucket = None if limits is None or limits.rate is None else Bucket(limits.rate, now_ms)
