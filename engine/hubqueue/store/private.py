"""Files beside the job file: nobody else may read them, from their first byte, and none is laid over another.

Used for backups and their return. A name that is taken is never taken away: not by a rename, not through a link.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from hubqueue.errors import DiskFull, Invalid, StoreError
from hubqueue.store.disk import DISK, Disk

PRIVATE: Final = 0o600
PART: Final = ".hubqueue-part"
NO_LINKS: Final = frozenset({errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK})  # FAT, some network drives


@contextmanager
def part_of(disk: Disk, target: Path) -> Iterator[Path]:
    """An empty private file in the folder of `target`, to be put in its place; what is left of it is deleted.

    So is what others left there that were killed meanwhile: it may be as large as the job file.
    """
    for left in target.parent.glob(f".*{PART}"):
        _remove_left(disk, left)
    fd, part = disk.temporary(target.parent, f".{target.name}.", PART)
    try:
        _lock(disk, fd)
        yield part
    finally:
        _remove(disk, part)
        disk.close(fd)


def _remove_left(disk: Disk, part: Path) -> None:
    try:
        fd = disk.open(part, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return
    try:
        if disk.fstat(fd).st_size and _lock(disk, fd):  # an empty one may have been made just now, and takes no space
            _remove(disk, part)
    except OSError:
        pass  # it is in nobody's way
    finally:
        disk.close(fd)


def _lock(disk: Disk, fd: int) -> bool:
    """For as long as it is open. False: another has it, or this file system knows no locks."""
    try:
        disk.lock(fd)
    except OSError:
        return False
    return True


def _remove(disk: Disk, part: Path) -> None:
    for ending in ("", "-wal", "-shm", "-journal"):
        disk.unlink(part.with_name(part.name + ending), missing_ok=True)


def place(disk: Disk, part: Path, target: Path) -> None:
    """Give a finished file its name, for good. Errors: FileExistsError; OSError."""
    try:
        disk.link(part, target)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from None
        disk.rename(part, target)
    else:
        disk.unlink(part)
    sync(disk, target.parent)


def move(source: Path, target: Path, disk: Disk = DISK) -> Path:
    """`place`, to another file system too; where it is now. In a folder it keeps its name. Errors: OSError."""
    if target.is_dir():
        target = target / source.name
    try:
        place(disk, source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        with part_of(disk, target) as part:
            disk.copy(source, part)
            place(disk, part, target)
        disk.unlink(source)
    return target


def free_name(path: Path) -> Path:
    """The path, or the first of `path-2`, `path-3`, ... that is not taken; with a log of the same name neither."""
    number, name = 1, path
    while os.path.lexists(name) or os.path.lexists(name.with_name(name.name + "-wal")):
        number += 1
        name = path.with_name(f"{path.name}-{number}")
    return name


def sync(disk: Disk, path: Path) -> None:
    """Sync a file, or a folder: the names in it."""
    fd = disk.open(path, os.O_RDONLY)
    try:
        disk.fsync(fd)
    finally:
        disk.close(fd)


def explained(error: OSError, what: str, hint: str) -> StoreError | DiskFull | Invalid:
    """An error of the file system in our words. what: cannot be done; hint: what is as it was."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DiskFull(f"{what}: there is no space for it", hint=f"free some space; {hint}")
    if isinstance(error, FileExistsError):
        return Invalid(f"{what}: {error.filename2 or error.filename} exists already", hint="choose another name")
    if isinstance(error, PermissionError):
        where = f" to {error.filename}" if error.filename else ""
        return StoreError(f"{what}: no right{where}", hint=f"run it as the user of the hub; {hint}")
    return StoreError(f"{what}: {error.strerror or error}", hint=hint)
