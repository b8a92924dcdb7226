"""Backups: a consistent copy made by SQLite while the hub works, and its return.

The copy is made with VACUUM INTO: the stepwise backup API never finishes under load. A restored file goes on
10^12 sequence numbers later, so that no id of the lost file is ever used for another job.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path
from typing import Final

from hubqueue.errors import DamagedFile, Invalid, StoreError
from hubqueue.store.file import FileLock, connect_aside, create_private, translate
from hubqueue.store.schema import APPLICATION_ID, migrate
from hubqueue.store.seqs import LAST, RESTORE_GAP

JUMP: Final = f"UPDATE meta SET value = value + {RESTORE_GAP} WHERE key = 'seq_end' AND value < {LAST - RESTORE_GAP}"


def copy_to(path: Path, target: Path) -> int:
    """Write a consistent copy of the open file to `target`; its size in bytes. Blocks: run it in a thread.

    Errors: Invalid when the target exists, StoreError.
    """
    if target.exists():
        raise Invalid(f"{target} exists already", hint="choose another name, or delete it first")
    part = target.with_name(target.name + ".part")
    part.unlink(missing_ok=True)
    create_private(part)
    db = connect_aside(path, read_only=True)
    try:
        db.execute("VACUUM INTO ?", (str(part),))
    except sqlite3.Error as error:
        part.unlink(missing_ok=True)
        raise translate(error, target) from error
    finally:
        db.close()
    _sync(part)
    part.rename(target)
    _sync(target.parent)
    return target.stat().st_size


def check(path: Path) -> None:
    """Look a backup over. Errors: DamagedFile, NewerFile."""
    if not path.is_file():
        raise Invalid(f"There is no file {path}")
    try:
        db = connect_aside(path, read_only=True)
        try:
            (application,) = db.execute("PRAGMA application_id").fetchone()
            if application != APPLICATION_ID:
                raise DamagedFile(f"{path} is not a hubqueue file", hint="choose a file made by 'hubqueue backup'")
            (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
        finally:
            db.close()
    except sqlite3.Error as error:
        raise translate(error, path) from error
    if verdict != "ok":
        raise DamagedFile(f"{path} is damaged: {verdict}", hint="choose an older backup")


def restore(backup: Path, path: Path) -> None:
    """Put a backup in the place of a job file that no hub has open. The old file is kept as `<file>.before-restore`.

    Errors: AlreadyOpen, DamagedFile, NewerFile, StoreError.
    """
    check(backup)
    lock = FileLock(path)
    try:
        part = path.with_name(path.name + ".part")
        shutil.copyfile(backup, part)
        db = connect_aside(part)
        try:
            migrate(db)
            db.execute(JUMP)
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        finally:
            db.close()
        for ending in ("-wal", "-shm"):
            part.with_name(part.name + ending).unlink(missing_ok=True)
        _sync(part)
        if path.exists():
            _set_aside(path)
        part.rename(path)
        _sync(path.parent)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"The backup could not be restored: {error}", hint="the job file is as it was") from error
    finally:
        lock.release()


def _set_aside(path: Path) -> None:
    """Keep the old file, with what a crashed hub left in its log folded in; of a damaged file the log as it is."""
    kept = path.with_name(path.name + ".before-restore")
    try:
        db = connect_aside(path)
        try:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        finally:
            db.close()
    except sqlite3.Error:
        pass  # it may be damaged: that may be why somebody restores
    for ending in ("-wal", "-shm"):
        kept.with_name(kept.name + ending).unlink(missing_ok=True)
        log = path.with_name(path.name + ending)
        if log.exists():
            log.rename(kept.with_name(kept.name + ending))
    path.rename(kept)


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
