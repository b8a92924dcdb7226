"""Opening the job file: what has to be read, reserved and migrated before the first verb."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import NamedTuple

from hubqueue.clock import Clock
from hubqueue.errors import DiskFull, StoreError
from hubqueue.store import groups, identity, limits, meta, queue_settings, seqs
from hubqueue.store.disk import Disk
from hubqueue.store.file import connect, translate
from hubqueue.store.queues import Queues
from hubqueue.store.reserve import Reserve
from hubqueue.store.schema import migrate
from hubqueue.store.tx import Policy, Tx
from hubqueue.store.wal import Wal
from hubqueue.system import System


class Opened(NamedTuple):
    """An open file. ord_ms: the last order number given out."""

    db: sqlite3.Connection
    wal: Wal
    clock: Clock
    queues: Queues
    tx: Tx
    page_bytes: int
    ord_ms: int


def open_file(path: Path, reserve: Reserve, system: System, disk: Disk, policy: Policy, *, adopt: bool) -> Opened:
    """Open or create the file; on a full disk with the space that is kept back for that.

    Errors: NewerFile, DamagedFile, DiskFull, StoreError.
    """
    try:
        return _open(path, system, disk, policy, adopt)
    except DiskFull:
        if not reserve.give_up(freeing=True):
            raise
        return _open(path, system, disk, policy, adopt)


def _open(path: Path, system: System, disk: Disk, policy: Policy, adopt: bool) -> Opened:
    db = connect(path, disk)
    try:
        migrate(db)
        return _load(db, path, system, disk, policy, adopt)
    except BaseException as error:
        db.close()
        if isinstance(error, sqlite3.Error):
            raise translate(error, path, disk) from error
        if isinstance(error, OSError):
            raise StoreError(f"{path} could not be opened: {error}", hint="look at the disk") from error
        raise


def _load(db: sqlite3.Connection, path: Path, system: System, disk: Disk, policy: Policy, adopt: bool) -> Opened:
    db.execute("BEGIN IMMEDIATE")
    first = seqs.stored_end(db)
    end = seqs.reserve(db)
    who = identity.load(db, first, system, disk, adopt=adopt)
    last_ms, last_ord_ms = meta.stored_time(db)
    db.execute("COMMIT")
    (page_bytes,) = db.execute("PRAGMA page_size").fetchone()
    wal = Wal(path, page_bytes, disk)
    wal.sync()  # the block is ours only once it is on the disk
    block = seqs.Seqs(first, end)
    clock = Clock(system, last_ms)
    queues = Queues(db)
    limits.load(db, queues.by_id, clock.now_ms())
    groups.load(db, queues)
    queue_settings.load(db, queues)
    return Opened(db, wal, clock, queues, Tx(db, queues, block, who, policy, system), page_bytes, last_ord_ms)
