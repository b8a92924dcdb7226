"""Backups: a consistent copy made by SQLite while the hub works, and its return.

The copy is made with VACUUM INTO: the stepwise backup API never finishes under load. A restored file goes on
10^12 sequence numbers later, so that no id of the lost file is ever used for another job.
"""

from __future__ import annotations

import errno
import os
import sqlite3
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from hubqueue.errors import DamagedFile, Invalid
from hubqueue.store import private
from hubqueue.store.disk import DISK, Disk
from hubqueue.store.file import FileLock, connect_aside, create_private, translate
from hubqueue.store.schema import APPLICATION_ID, migrate
from hubqueue.store.seqs import LAST, RESTORE_GAP
from hubqueue.system import SYSTEM, System

# beyond the ids of the backup and of the file it replaces, which may be of another restored backup
JUMP: Final = f"""
    UPDATE meta SET value = max(value, ?) + {RESTORE_GAP}
    WHERE key = 'seq_end' AND value < {LAST - RESTORE_GAP}
"""
SEQ_END: Final = "SELECT value FROM meta WHERE key = 'seq_end'"
AS_IT_WAS: Final = "the job file is as it was"


def copy_to(path: Path, target: Path, disk: Disk) -> int:
    """Write a consistent copy of the open file to `target`; its size in bytes. Blocks: run it in a thread.

    Errors: Invalid when the target exists, DiskFull, StoreError.
    """
    cannot = f"The backup {target} cannot be written"
    try:
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, "", str(target))
        with private.part_of(disk, target) as part:
            db = connect_aside(path, disk, read_only=True)
            try:
                db.execute("VACUUM INTO ?", (str(part),))
            finally:
                db.close()
            private.sync(disk, part)
            private.place(disk, part, target)
        return disk.stat(target).st_size
    except sqlite3.Error as error:
        raise translate(error, target, disk) from error
    except OSError as error:
        raise private.explained(error, cannot, "the job file is not touched") from error


def _check(copy: Path, backup: Path, disk: Disk) -> None:
    """Look a copy of a backup over: the backup itself may lie where nothing can be written. Errors: DamagedFile."""
    try:
        db = connect_aside(copy, disk)
        try:
            (application,) = db.execute("PRAGMA application_id").fetchone()
            if application != APPLICATION_ID:
                raise DamagedFile(f"{backup} is not a hubqueue file", hint="choose a file made by 'hubqueue backup'")
            (verdict,) = db.execute("PRAGMA quick_check(1)").fetchone()
        finally:
            db.close()
    except sqlite3.Error as error:
        raise translate(error, backup, disk) from error
    if verdict != "ok":
        raise DamagedFile(f"{backup} is damaged: {verdict}", hint="choose an older backup")


def restore(backup: Path, path: Path, disk: Disk = DISK, system: System = SYSTEM) -> Path | None:
    """Put a backup in the place of a job file that no hub has open; where the old file is kept, if there was one.

    Errors: AlreadyOpen, DamagedFile, NewerFile, Invalid, DiskFull, StoreError. After any of them all is as it was.
    """
    if not backup.is_file():
        raise Invalid(f"There is no file {backup}")
    real = path.resolve()  # a link to another disk stays a link
    if real.exists() and (not real.is_file() or real.samefile(backup)):
        what = "the job file itself" if real.is_file() else "no file"
        raise Invalid(
            f"{path} is {what}", hint="give the backup first, and the job file that it replaces as --data-path"
        )
    stamp = datetime.fromtimestamp(system.wall_ms() // 1000, UTC).strftime("%Y%m%dT%H%M%SZ")
    with ExitStack() as locks:
        for name in dict.fromkeys((path.parent.resolve() / path.name, real)):  # a hub locks the name that it was given
            locks.callback(FileLock(name, disk).release)
        kept = private.free_name(real.with_name(f"{real.name}.before-restore-{stamp}"))
        try:
            with private.part_of(disk, real) as part, ExitStack() as undo:
                last_seq = _fold(disk, real, kept, undo)
                _prepare(disk, backup, part, real, last_seq)
                _exchange(disk, part, real, kept, undo)
            private.sync(disk, real.parent)
        except sqlite3.Error as error:
            answer = translate(error, path, disk)
            raise type(answer)(f"The backup could not be restored: {answer.message}", hint=AS_IT_WAS) from error
        except OSError as error:
            raise private.explained(error, "The backup could not be restored", AS_IT_WAS) from error
    return kept if kept.exists() or _log(kept).exists() else None


def _log(path: Path) -> Path:
    return path.with_name(path.name + "-wal")


def _fold(disk: Disk, path: Path, kept: Path, undo: ExitStack) -> int:
    """Put what a crashed hub left in its log into the file; how far its ids have gone, 0 if it does not say.

    Of a file that is damaged or gone the log is set aside: SQLite deletes one that it cannot read.
    """
    log, kept_log = _log(path), _log(kept)
    if log.exists():
        undo.callback(_put_back, disk, kept_log, log)
        _name_too(disk, log, kept_log)
    if not path.exists():
        return 0
    try:
        db = connect_aside(path, disk)
        try:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            found = db.execute(SEQ_END).fetchone()
        finally:
            db.close()
    except sqlite3.Error:
        return 0  # it may be damaged: that may be why somebody restores
    disk.unlink(kept_log, missing_ok=True)
    return int(found[0]) if found else 0


def _prepare(disk: Disk, backup: Path, part: Path, path: Path, last_seq: int) -> None:
    """Make of a backup the file that a hub opens: with what its log holds, of this version, with ids of its own."""
    disk.copy(backup, part)
    if _log(backup).exists():  # a file that was set aside, or copied by hand
        create_private(_log(part), disk)
        disk.copy(_log(backup), _log(part))
    _check(part, backup, disk)
    db = connect_aside(part, disk)
    try:
        migrate(db)
        db.execute(JUMP, (last_seq,))
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    finally:
        db.close()
    owner = disk.stat(path if path.exists() else path.parent)
    if os.geteuid() == 0:  # the hub may run as somebody else
        disk.chown(part, owner.st_uid, owner.st_gid)
    private.sync(disk, part)


def _exchange(disk: Disk, part: Path, path: Path, kept: Path, undo: ExitStack) -> None:
    """Put the new file in the place of the old one, which gets another name first; at no moment is there none."""
    if path.exists():
        disk.chmod(path, private.PRIVATE)
        undo.callback(_put_back, disk, kept, path)
        _name_too(disk, path, kept)
    if _log(kept).exists():
        disk.chmod(_log(kept), private.PRIVATE)
    for ending in ("-wal", "-shm"):  # no part of the new one; the log has its other name
        disk.unlink(path.with_name(path.name + ending), missing_ok=True)
    private.sync(disk, path.parent)
    disk.rename(part, path)
    undo.pop_all()


def _name_too(disk: Disk, path: Path, name: Path) -> None:
    """Give a file a second name; where the file system has no links, the only one."""
    try:
        disk.link(path, name)
    except OSError as error:
        if error.errno not in private.NO_LINKS:
            raise
        disk.rename(path, name)


def _put_back(disk: Disk, kept: Path, path: Path) -> None:
    if kept.exists():
        if path.exists():
            disk.unlink(kept)  # the second of its names
        else:
            disk.rename(kept, path)
