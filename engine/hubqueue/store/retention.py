"""Deleting what a bound no longer allows and what an obliterated queue has left, in slices."""

from __future__ import annotations

from typing import Final

from hubqueue.model.job import Flag
from hubqueue.store import flows, groups, ids, jobs, logs, metrics
from hubqueue.store.tx import Tx

DOOMED: Final = "SELECT queue FROM doomed LIMIT 1"
DOOMED_ROWS: Final = "SELECT seq, flags FROM job WHERE queue = ? LIMIT ?"
DOOMED_KEYS: Final = "DELETE FROM dedup WHERE queue = ?"
DONE: Final = "DELETE FROM doomed WHERE queue = ?"


def doomed_slice(tx: Tx, limit: int) -> bool:
    """Delete rows of an obliterated queue; whether there is more to do."""
    row = tx.execute(DOOMED).fetchone()
    if row is None:
        return False
    found = tx.execute(DOOMED_ROWS, (row[0], limit)).fetchall()
    if not found:
        tx.execute(DOOMED_KEYS, row)
        groups.forget(tx, row[0])
        metrics.forget(tx, row[0])
        tx.execute(DONE, row)
        return True
    seqs = [seq for seq, _ in found]
    identified = [seq for seq, flags in found if flags & ids.IDENTIFIED]
    if identified:
        ids.finished(tx, identified, gone=True)
    logs.delete(tx, seqs)
    flows.forget(tx, [seq for seq, flags in found if flags & Flag.DEPENDENT])
    jobs.delete(tx, seqs)
    return True


SPARE_PAGES: Final = 8192  # kept for what comes next; and never less than a third of the file
GIVE_BACK: Final = "PRAGMA incremental_vacuum(1)"  # one at a time: Python takes but one step of this statement


def give_back_pages(tx: Tx, limit: int) -> bool:
    """Return at most `limit` of the pages that are free beyond the spare ones; whether there are more."""
    (pages,) = tx.execute("PRAGMA page_count").fetchone()
    (free,) = tx.execute("PRAGMA freelist_count").fetchone()
    beyond: int = free - max(SPARE_PAGES, pages // 3)
    for _ in range(min(beyond, limit)):
        tx.execute(GIVE_BACK)
    return beyond > limit
