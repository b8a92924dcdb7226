"""Files beside the job file: nobody else may read them, from their first byte, and none is laid over another.

Used for backups and their return. A name that is taken is never taken away: not by a rename, not through a link.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from hubqueue.errors import DiskFull, Invalid, StoreError

PRIVATE: Final = 0o600
NO_LINKS: Final = frozenset({errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK})  # FAT, some network drives


@contextmanager
def part_of(target: Path) -> Iterator[Path]:
    """An empty private file in the folder of `target`, to be put in its place; what is left of it is deleted."""
    fd, name = tempfile.mkstemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent)
    os.close(fd)
    part = Path(name)
    try:
        yield part
    finally:
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
