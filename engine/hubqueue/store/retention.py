"""Deleting what a bound no longer allows and what an obliterated queue has left, in slices."""

from __future__ import annotations

from typing import Final

from hubqueue.model.job import Flag
from hubqueue.store import flows, groups, ids, jobs, logs, metrics
from hubqueue.store.slices import WEIGHT, light
from hubqueue.store.tx import Tx

DOOMED: Final = "SELECT queue FROM doomed LIMIT 1"
DOOMED_ROWS: Final = f"SELECT seq, flags, {WEIGHT} FROM job WHERE queue = ? LIMIT ?"
DOOMED_KEYS: Final = "DELETE FROM dedup WHERE queue = ?1 AND key IN (SELECT key FROM dedup WHERE queue = ?1 LIMIT ?2)"
DONE: Final = "DELETE FROM doomed WHERE queue = ?"


def doomed_slice(tx: Tx, limit: int) -> bool:
    """Delete rows of an obliterated queue; whether there is more to do."""
    row = tx.execute(DOOMED).fetchone()
    if row is None:
        return False
    found = light(tx.execute(DOOMED_ROWS, (row[0], limit)), lambda found: found[2])
    if not found:
        if tx.execute(DOOMED_KEYS, (row[0], limit)).rowcount or groups.forget(tx, row[0], limit):
            return True
        metrics.forget(tx, row[0])
        tx.execute(DONE, row)
        return True
    seqs = [seq for seq, _, _ in found]
    identified = [seq for seq, flags, _ in found if flags & ids.IDENTIFIED]
    if identified:
        ids.finished(tx, identified, gone=True)
    logs.delete(tx, [seq for seq, flags, _ in found if flags & Flag.LOGS])
    flows.forget(tx, [seq for seq, flags, _ in found if flags & Flag.DEPENDENT])
    jobs.delete(tx, seqs)
    return True


SPARE_PAGES: Final = 8192  # kept for what comes next; and never less than a third of the file; on a full disk none
GIVE_BACK: Final = "PRAGMA incremental_vacuum(1)"  # one at a time: Python takes but one step of this statement


def give_back_pages(tx: Tx, limit: int, *, spare: bool = True) -> int:
    """Return at most `limit` of the free pages, of all or of those beyond the spare ones; how many.

    Each is found at the end of the file, or moved there; the file is cut by the checkpoint that follows.
    """
    (pages,) = tx.execute("PRAGMA page_count").fetchone()
    (free,) = tx.execute("PRAGMA freelist_count").fetchone()
    beyond: int = free - (max(SPARE_PAGES, pages // 3) if spare else 0)
    count = max(0, min(beyond, limit))
    for _ in range(count):
        tx.execute(GIVE_BACK)
    return count
