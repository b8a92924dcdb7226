"""The job file: its lock, its connections and their settings.

Nobody in the process may open, copy or hash the live file except SQLite through `connect`: closing any other
descriptor of it would drop SQLite's locks (POSIX), and the next closer would delete the WAL.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Final

from hubqueue.errors import AlreadyOpen, Busy, DamagedFile, DiskFull, StoreError
from hubqueue.store.disk import DISK, Disk
from hubqueue.store.schema import APPLICATION_ID

# measured, one small job in three commits: 54 kB of log at 4096, 29 kB at 2048, 16 kB at 1024 (SD cards);
# 2048 is as fast as 4096, 1024 is 10 to 20 % slower
PAGE_BYTES: Final = 2048
KEPT_LOG_BYTES: Final = 32 * 1024 * 1024  # a log that grew beyond it (a backup was reading) is cut when it begins anew
PRIVATE: Final = 0o600  # the file holds tokens of forwarders, and what people's devices say
CACHE_KIB: Final = 8000  # page cache of the write connection; flat whatever the backlog


class FileLock:
    """An flock on `<file>.lock` that holds our pid: one hub per file.

    Errors: AlreadyOpen, with the pid of the holder.
    """

    def __init__(self, path: Path, disk: Disk = DISK) -> None:
        self._disk = disk
        try:
            self._fd = disk.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT)
        except OSError as error:
            raise StoreError(
                f"Cannot write beside the job file {path}: {error.strerror}",
                hint="give a folder that exists and that the hub may write to",
            ) from error
        try:
            disk.lock(self._fd)
        except BlockingIOError:
            pid = disk.pread(self._fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
            disk.close(self._fd)
            raise AlreadyOpen(
                f"{path} is already open by pid {pid}",
                hint="talk to that hub over TCP, or stop it first",
            ) from None
        try:
            disk.truncate(self._fd, 0)
            disk.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)
        except OSError:
            pass  # a full disk: the lock holds, only our pid stays unknown

    def release(self) -> None:
        self._disk.close(self._fd)


def connect(path: Path, disk: Disk) -> sqlite3.Connection:
    """The write connection: autocommit off our hands, WAL, NORMAL, no waiting for locks.

    Errors: DamagedFile for what is no job file (it is left as it is), StoreError, DiskFull.
    """
    create_private(path, disk)
    try:
        db = disk.connect(path, isolation_level=None, check_same_thread=False, timeout=0.0, cached_statements=256)
        try:
            _set_up(db, path)
        except BaseException:
            db.close()
            raise
    except sqlite3.DatabaseError as error:
        raise translate(error, path, disk) from error
    with suppress(OSError):  # somebody else's file, or a file system without owners
        disk.chmod(path, PRIVATE)
    return db


def create_private(path: Path, disk: Disk) -> None:
    """Make an empty file that nobody else may read, where there is none. SQLite gives its log the same rights."""
    with suppress(OSError):  # it is there, or cannot be made: SQLite says why
        disk.close(disk.open(path, os.O_CREAT | os.O_EXCL, PRIVATE))


def _set_up(db: sqlite3.Connection, path: Path) -> None:
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if tables == 0:
        db.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        db.execute("PRAGMA auto_vacuum = INCREMENTAL")
        db.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    elif application != APPLICATION_ID:
        raise DamagedFile(f"{path} is an SQLite file of another program", hint="choose another path")
    if db.execute("PRAGMA journal_mode = WAL").fetchone() != ("wal",):
        raise StoreError(f"{path} lies on a file system without WAL support", hint="use a local disk")
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute("PRAGMA wal_autocheckpoint = 0")
    db.execute(f"PRAGMA journal_size_limit = {KEPT_LOG_BYTES}")
    # what is deleted is overwritten where its page is written anyway. Debian's default writes each freed page once
    # more: twice as much for an SD card, and zeros that fill a full disk
    db.execute("PRAGMA secure_delete = FAST")
    db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
    db.execute("PRAGMA temp_store = MEMORY")
    db.execute("PRAGMA foreign_keys = OFF")


def connect_aside(path: Path, disk: Disk = DISK, *, read_only: bool = False, wait_s: float = 2.0) -> sqlite3.Connection:
    """A second connection, for the checkpoint thread, exports and backups. It may wait for locks."""
    mode = "ro" if read_only else "rw"
    db = disk.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=wait_s,
    )
    try:
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("PRAGMA wal_autocheckpoint = 0")
        db.execute(f"PRAGMA journal_size_limit = {KEPT_LOG_BYTES}")
        db.execute("PRAGMA cache_size = -1000")
    except BaseException:
        db.close()
        raise
    return db


def translate(error: sqlite3.Error, path: Path, disk: Disk = DISK) -> DiskFull | StoreError | DamagedFile | Busy:
    """SQLite's error in our words."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_FULL or (code == sqlite3.SQLITE_IOERR and _no_space(path, disk)):
        return DiskFull()
    if code == sqlite3.SQLITE_BUSY:
        return Busy("The job file is locked by another program", hint="close it there")
    if code == sqlite3.SQLITE_NOTADB:
        return DamagedFile(f"{path} is not a job file: {error}", hint="choose another path, or restore a backup")
    if code == sqlite3.SQLITE_CORRUPT:
        return DamagedFile(f"{path} is damaged: {error}")
    return StoreError(f"{path}: {error}")


def _no_space(path: Path, disk: Disk) -> bool:
    """SQLite calls it an I/O error when its shared memory file finds no space."""
    try:
        return disk.free_bytes(path.parent) == 0
    except OSError:
        return False
