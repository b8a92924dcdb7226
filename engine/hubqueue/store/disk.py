"""What the store asks of the disk: everything that changes, syncs or reads a file goes through one `Disk`.

The store is given one, so that a simulation can let any of these fail, be late, or be the last thing that happens.
Whether there is something at a path may be asked of the path itself.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
import tempfile
from pathlib import Path
from typing import Any, Final


class Disk:
    """Each as the system call or library of its name. Errors: OSError, sqlite3.Error of `connect`."""

    # descriptors: no child inherits them

    def open(self, path: Path, flags: int, mode: int = 0o600) -> int:
        return os.open(path, flags | os.O_CLOEXEC, mode)

    def temporary(self, folder: Path, prefix: str, suffix: str) -> tuple[int, Path]:
        """A new private file under a name of its own, open."""
        fd, name = tempfile.mkstemp(prefix=prefix, suffix=suffix, dir=folder)
        return fd, Path(name)

    def dup(self, fd: int) -> int:
        return os.dup(fd)

    def dup2(self, fd: int, other: int) -> None:
        os.dup2(fd, other, inheritable=False)

    def close(self, fd: int) -> None:
        os.close(fd)

    def lock(self, fd: int) -> None:
        """Alone, for as long as it is open. Errors: BlockingIOError where another has it."""
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)

    pread = staticmethod(os.pread)  # asked after every few commits: no call more than it needs

    def pwrite(self, fd: int, data: bytes, at: int) -> int:
        return os.pwrite(fd, data, at)

    def fstat(self, fd: int) -> os.stat_result:
        return os.fstat(fd)

    def allocate(self, fd: int, count: int) -> None:
        """Take so many bytes of the disk."""
        os.posix_fallocate(fd, 0, count)

    def fdatasync(self, fd: int) -> None:
        os.fdatasync(fd)

    def fsync(self, fd: int) -> None:
        os.fsync(fd)

    # names

    def stat(self, path: Path) -> os.stat_result:
        return path.stat()

    def truncate(self, path: Path | int, count: int) -> None:
        os.truncate(path, count)

    def link(self, path: Path, name: Path) -> None:
        os.link(path, name)

    def rename(self, path: Path, name: Path) -> None:
        path.rename(name)

    def unlink(self, path: Path, *, missing_ok: bool = False) -> None:
        path.unlink(missing_ok=missing_ok)

    def chmod(self, path: Path, mode: int) -> None:
        path.chmod(mode)

    def chown(self, path: Path, uid: int, gid: int) -> None:
        os.chown(path, uid, gid)

    # whole files

    def copy(self, source: Path, target: Path) -> None:
        """Into a file that is there already, and sync it."""
        with source.open("rb") as reading, target.open("r+b") as writing:
            shutil.copyfileobj(reading, writing, 1024 * 1024)
            writing.flush()
            self.fsync(writing.fileno())

    def read_text(self, path: Path) -> str:
        return path.read_text("ascii")

    def free_bytes(self, folder: Path) -> int:
        """What is left for whoever is not root."""
        stat = os.statvfs(folder)
        return stat.f_bavail * stat.f_frsize

    def connect(self, database: Path | str, **options: Any) -> sqlite3.Connection:
        db: sqlite3.Connection = sqlite3.connect(database, **options)
        return db


DISK: Final = Disk()
