"""The write-ahead log as a file: how full it is, and its fdatasync.

Reading and syncing the WAL is allowed (SQLite's locks are on the database and the -shm file); see store/file.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from hubqueue.store.disk import Disk

HEADER_BYTES: Final = 32
FRAME_HEADER_BYTES: Final = 24
STRIDE: Final = 64  # frames between two probes; the gauge may lag by as many


class Wal:
    """The `-wal` file beside a database. Not thread-safe except `sync`, which only one thread may run at a time."""

    def __init__(self, path: Path, page_bytes: int, disk: Disk) -> None:
        self._disk = disk
        self.path = path.with_name(path.name + "-wal")
        self._frame_bytes = FRAME_HEADER_BYTES + page_bytes
        self._probe_fd = disk.open(self.path, os.O_RDONLY)
        self._sync_fd = disk.dup(self._probe_fd)
        self._salt = b""
        self._frames = 0

    def used_bytes(self) -> int:
        """Bytes of the current generation of the log, to within STRIDE frames.

        SQLite overwrites the log from its start after a checkpoint, so the file's size says nothing; frames of
        the current generation carry the salt of the header.
        """
        try:
            salt = self._disk.pread(self._probe_fd, 8, 16)
            if salt != self._salt:
                self._salt = salt
                self._frames = 0
            while self._current(self._frames + STRIDE - 1):
                self._frames += STRIDE
        except OSError:
            pass  # a disk that has failed: what was seen last will do, writing to it says what it is
        return HEADER_BYTES + self._frames * self._frame_bytes

    def file_bytes(self) -> int:
        """What the log takes of the disk, whether it is in use or not."""
        try:
            return self._disk.fstat(self._probe_fd).st_size
        except OSError:
            return 0

    def sync(self) -> None:
        """fdatasync the log; blocks, so run it in the sync thread. Reopens the file if it was replaced.

        Errors: OSError; after one the caller must not simply try again.
        """
        disk = self._disk
        mine = disk.fstat(self._sync_fd)
        there = disk.stat(self.path)
        if (mine.st_dev, mine.st_ino) != (there.st_dev, there.st_ino):
            fresh = disk.open(self.path, os.O_RDONLY)
            disk.dup2(fresh, self._sync_fd)
            disk.dup2(fresh, self._probe_fd)
            disk.close(fresh)
        disk.fdatasync(self._sync_fd)

    def close(self) -> None:
        self._disk.close(self._probe_fd)
        self._disk.close(self._sync_fd)

    def _current(self, frame: int) -> bool:
        at = HEADER_BYTES + frame * self._frame_bytes + 8
        return bool(self._salt) and self._disk.pread(self._probe_fd, 8, at) == self._salt
