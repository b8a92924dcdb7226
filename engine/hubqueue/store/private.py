"""Files beside the job file: nobody else may read them, from their first byte, and none is laid over another.

Used for backups and their return. A name that is taken is never taken away: not by a rename, not through a link.
"""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from hubqueue.errors import DiskFull, Invalid, StoreError

PRIVATE: Final = 0o600
PART: Final = ".hubqueue-part"
NO_LINKS: Final = frozenset({errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK})  # FAT, some network drives


@contextmanager
def part_of(target: Path) -> Iterator[Path]:
    """An empty private file in the folder of `target`, to be put in its place; what is left of it is deleted.

    So is what others left there that were killed meanwhile: it may be as large as the job file.
    """
    for left in target.parent.glob(f".*{PART}"):
        _remove_left(left)
    fd, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=PART, dir=target.parent)
    part = Path(name)
    try:
        _lock(fd)
        yield part
    finally:
        _remove(part)
        os.close(fd)


def _remove_left(part: Path) -> None:
    try:
        fd = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return
    try:
        if os.fstat(fd).st_size and _lock(fd):  # an empty one may have been made just now, and takes no space
            _remove(part)
    except OSError:
        pass  # it is in nobody's way
    finally:
        os.close(fd)


def _lock(fd: int) -> bool:
    """For as long as it is open. False: another has it, or this file system knows no locks."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _remove(part: Path) -> None:
    for ending in ("", "-wal", "-shm", "-journal"):
        part.with_name(part.name + ending).unlink(missing_ok=True)


def copy(source: Path, target: Path) -> None:
    """Copy into a file that is there already, and sync it."""
    with source.open("rb") as reading, target.open("r+b") as writing:
        shutil.copyfileobj(reading, writing, 1024 * 1024)
        writing.flush()
        os.fsync(writing.fileno())


def place(part: Path, target: Path) -> None:
    """Give a finished file its name, for good. Errors: FileExistsError; OSError."""
    try:
        os.link(part, target)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target)) from None
        part.rename(target)
    else:
        part.unlink()
    sync(target.parent)


def move(source: Path, target: Path) -> Path:
    """`place`, to another file system too; where it is now. In a folder it keeps its name. Errors: OSError."""
    if target.is_dir():
        target = target / source.name
    try:
        place(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        with part_of(target) as part:
            copy(source, part)
            place(part, target)
        source.unlink()
    return target


def free_name(path: Path) -> Path:
    """The path, or the first of `path-2`, `path-3`, ... that is not taken; with a log of the same name neither."""
    number, name = 1, path
    while os.path.lexists(name) or os.path.lexists(name.with_name(name.name + "-wal")):
        number += 1
        name = path.with_name(f"{path.name}-{number}")
    return name


def sync(path: Path) -> None:
    """Sync a file, or a folder: the names in it."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


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
