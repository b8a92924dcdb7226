"""Schedules: the rule as one blob, with when it fires next."""

from __future__ import annotations

from typing import Final

import msgspec

from hubqueue.model.schedule import Schedule
from hubqueue.store.tx import Tx

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Schedule).decode

COLUMNS: Final = "spec, next_run_at_ms, runs, last_seq"
PUT: Final = """
    INSERT INTO schedule (key, interval, next_run_at_ms, spec) VALUES (?1, ?2, ?3, ?4)
    ON CONFLICT (key) DO UPDATE SET interval = ?2, next_run_at_ms = ?3, spec = ?4
"""
DELETE: Final = "DELETE FROM schedule WHERE key = ?"
GET: Final = f"SELECT {COLUMNS} FROM schedule WHERE key = ?"
ALL: Final = f"SELECT {COLUMNS} FROM schedule ORDER BY key"
DUE: Final = f"SELECT {COLUMNS} FROM schedule WHERE next_run_at_ms <= ? ORDER BY next_run_at_ms LIMIT ?"
NEXT: Final = "SELECT min(next_run_at_ms) FROM schedule"
FIRED: Final = "UPDATE schedule SET next_run_at_ms = ?, runs = ?, last_seq = ? WHERE key = ?"
MOVE: Final = "UPDATE schedule SET next_run_at_ms = ? WHERE key = ?"
SHIFT: Final = "UPDATE schedule SET next_run_at_ms = next_run_at_ms + ? WHERE interval"


class Stored(msgspec.Struct, frozen=True, gc=False):
    """A schedule and the job it made last."""

    schedule: Schedule
    last_seq: int | None


def put(tx: Tx, schedule: Schedule) -> None:
    """Runs so far and the last job of an older one with this key are kept."""
    bare = msgspec.structs.replace(schedule, next_run_at_ms=None, runs=0)
    tx.execute(PUT, (schedule.key, schedule.cron is None, schedule.next_run_at_ms, _encode(bare)))


def delete(tx: Tx, key: str) -> bool:
    return tx.execute(DELETE, (key,)).rowcount == 1


def get(tx: Tx, key: str) -> Stored | None:
    row = tx.execute(GET, (key,)).fetchone()
    return None if row is None else _stored(row)


def every(tx: Tx) -> list[Stored]:
    """All of them, by key."""
    return [_stored(row) for row in tx.execute(ALL).fetchall()]


def due(tx: Tx, limit: int) -> list[Stored]:
    return [_stored(row) for row in tx.execute(DUE, (tx.now_ms, limit)).fetchall()]


def next_ms(tx: Tx) -> int | None:
    """When the next one is due."""
    value: int | None = tx.execute(NEXT).fetchone()[0]
    return value


def fired(tx: Tx, key: str, next_run_at_ms: int | None, runs: int, last_seq: int | None) -> None:
    tx.execute(FIRED, (next_run_at_ms, runs, last_seq, key))


def move(tx: Tx, key: str, next_run_at_ms: int | None) -> None:
    tx.execute(MOVE, (next_run_at_ms, key))


def shift_intervals(tx: Tx, jump_ms: int) -> None:
    """The clock jumped: intervals go on in their rhythm."""
    tx.execute(SHIFT, (jump_ms,))


def _stored(row: tuple[bytes, int | None, int, int | None]) -> Stored:
    schedule = msgspec.structs.replace(_decode(row[0]), next_run_at_ms=row[1], runs=row[2])
    return Stored(schedule, row[3])
