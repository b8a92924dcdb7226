"""Lines that workers log for a job: kept with it, bounded, gone with it."""

from __future__ import annotations

from typing import Final

import msgspec

from hubqueue.store.tx import Tx, padded

KEPT_LINES: Final = 100
MAX_LINE_CHARS: Final = 4096


class LogLine(msgspec.Struct, frozen=True, gc=False):
    """Units: at_ms Unix milliseconds."""

    at_ms: int
    level: str
    message: str


ADD: Final = "INSERT INTO job_log (job, at_ms, level, message) VALUES (?, ?, ?, ?)"
TRIM: Final = (
    "DELETE FROM job_log WHERE id IN (SELECT id FROM job_log WHERE job = ? ORDER BY id DESC LIMIT -1 OFFSET ?)"
)
READ: Final = "SELECT at_ms, level, message FROM job_log WHERE job = ? ORDER BY id"


def add(tx: Tx, seq: int, level: str, message: str) -> None:
    tx.execute(ADD, (seq, tx.now_ms, level[:32], message[:MAX_LINE_CHARS]))
    trim(tx, seq, KEPT_LINES)


def trim(tx: Tx, seq: int, keep: int) -> None:
    """Keep the newest `keep` lines."""
    tx.execute(TRIM, (seq, keep))


def read(tx: Tx, seq: int) -> list[LogLine]:
    return [LogLine(*row) for row in tx.execute(READ, (seq,)).fetchall()]


def delete(tx: Tx, seqs: list[int]) -> None:
    for marks, values in padded(seqs):
        tx.execute(f"DELETE FROM job_log WHERE job IN ({marks})", values)
