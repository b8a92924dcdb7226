"""How long jobs waited and ran, for the history: a few of a batch, and at high rates a few of all (`tx.sampling`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from hubqueue.model.histogram import bucket_of
from hubqueue.model.job import Job
from hubqueue.store.jobs import LeaseRow
from hubqueue.store.queues import QueueRow
from hubqueue.store.tx import Tally, Tx

TAKEN: Final = 8  # of one batch, evenly; each stands for as many as are left out


def waited(tx: Tx, row: QueueRow, leased: Sequence[Job]) -> None:
    """From when they were due until now."""
    every, mask = 1 + len(leased) // TAKEN, tx.sampling.mask
    for job in leased[::every]:
        if not job.seq & mask:
            tx.tallies.append((row, Tally.WAITED + bucket_of(tx.now_ms - job.run_at_ms), every))


def ran(tx: Tx, completed: Sequence[tuple[LeaseRow, object, object]]) -> None:
    """From their lease until now."""
    every, mask = 1 + len(completed) // TAKEN, tx.sampling.mask
    for row, _, _ in completed[::every]:
        if not row.seq & mask and row.started_at_ms is not None:
            tally = Tally.RAN + bucket_of(tx.now_ms - row.started_at_ms)
            tx.tallies.append((tx.queues.by_id[row.queue], tally, every))
