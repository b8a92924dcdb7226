"""Which queues a command would reach by the ids it names: for tokens that are limited to queues."""

from __future__ import annotations

from collections.abc import Iterable

from hubqueue.hub.verbs.rows import seq_of
from hubqueue.store import jobs, schedules
from hubqueue.store.tx import Tx


def queues_of_jobs(tx: Tx, ids: Iterable[str]) -> set[str]:
    """The queues of those of these jobs that exist."""
    seqs = [seq for seq in (seq_of(tx, id) for id in ids) if seq is not None]
    return {tx.queues.by_id[lease_row.queue].name for lease_row in jobs.lease_rows(tx, seqs).values()}


def queues_of_schedules(tx: Tx, keys: Iterable[str]) -> set[str]:
    """The queues that those of these schedules that exist enqueue to."""
    found = [schedules.get(tx, key) for key in keys]
    return {stored.schedule.queue for stored in found if stored is not None}
