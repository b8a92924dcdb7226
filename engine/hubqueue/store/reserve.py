"""The disk reserve: a few megabytes kept back so that a full disk does not stop what frees space.

New jobs are refused while what is free would not hold the log once more: a checkpoint may have to move all of it into
the database. Settling, releasing and deleting go on; if even they find no space, half of the reserve is given up for
them. The other half is for what frees space only: settled jobs may need more than they did. The reserve is made again
when there is room.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Final

from hubqueue.store.disk import Disk

log = logging.getLogger(__name__)

RESERVE_BYTES: Final = 8 * 1024 * 1024
MARGIN_BYTES: Final = RESERVE_BYTES // 2  # what must be free beside the log
SHORT_BYTES: Final = RESERVE_BYTES  # with no more than this beyond, the log is kept short
LARGE_BYTES: Final = 1024 * 1024  # so much is refused alone where less still fits
UNKNOWN_BYTES: Final = 1 << 62


class Reserve:
    """`full` says whether new jobs must be refused, `short` whether they soon might be."""

    def __init__(self, path: Path, disk: Disk) -> None:
        self._disk = disk
        self._folder = path.parent
        self._path = path.with_name(path.name + ".reserve")
        self._held_bytes = disk.stat(self._path).st_size if self._path.exists() else 0  # after a kill
        self.full = False
        self.short = False

    def takes(self, log_bytes: int, size: int) -> bool:
        """Whether new jobs of so many bytes may be taken: is there space for the log once more?

        Large ones are refused alone where small ones still fit: they go into the log, and from there into the file.
        """
        beyond = self._free_bytes() - MARGIN_BYTES - log_bytes
        self.short = beyond < SHORT_BYTES
        if beyond < 0:
            self._set(True)
        return beyond >= (2 * size if size >= LARGE_BYTES else 0)

    def check(self, log_bytes: int) -> None:
        """Called by maintenance every second: hold the reserve again, take new jobs again."""
        if self._held_bytes < RESERVE_BYTES and self._free_bytes() + self._held_bytes >= 2 * RESERVE_BYTES:
            self._make()
        free = self._free_bytes()
        needed = (RESERVE_BYTES if self.full else MARGIN_BYTES) + log_bytes  # not to and fro
        self._set(free < needed or self._held_bytes < RESERVE_BYTES)
        self.short = self.full or free < MARGIN_BYTES + SHORT_BYTES + log_bytes

    def give_up(self, *, freeing: bool) -> bool:
        """A write found no space: refuse new jobs, and leave it a half of the reserve, or all; whether that is more.

        freeing: it will free some.
        """
        self._set(True)
        self.short = True
        left = 0 if freeing else min(self._held_bytes, RESERVE_BYTES // 2)
        if left == self._held_bytes:
            return False
        self._held_bytes = left
        if not left:
            self._remove()
            return True
        try:
            self._disk.truncate(self._path, left)
        except OSError as error:
            log.warning("The reserve could not be made smaller. file=%s error=%s", self._path.name, error)
        return True

    def release(self) -> None:
        """At close: the space is not needed while nobody runs."""
        self._remove()
        self._held_bytes = 0

    def _set(self, full: bool) -> None:
        if full != self.full:
            self.full = full
            if full:
                text = "The disk is full: no new jobs are taken until there is space. free_bytes=%d"
            else:
                text = "There is space on the disk again: new jobs are taken. free_bytes=%d"
            log.warning(text, self._free_bytes())

    def _make(self) -> None:
        try:
            fd = self._disk.open(self._path, os.O_WRONLY | os.O_CREAT)
            try:
                self._disk.allocate(fd, RESERVE_BYTES)
            finally:
                self._disk.close(fd)
        except OSError:
            self._remove()
            self._held_bytes = 0
            return
        self._held_bytes = RESERVE_BYTES

    def _remove(self) -> None:
        try:
            self._disk.unlink(self._path, missing_ok=True)
        except OSError as error:
            log.warning("The reserve could not be removed. file=%s error=%s", self._path.name, error)

    def _free_bytes(self) -> int:
        try:
            return self._disk.free_bytes(self._folder)
        except OSError:
            return UNKNOWN_BYTES  # a disk that has failed is not full: writing to it says what it is
