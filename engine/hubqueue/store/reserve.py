"""The disk reserve: a few megabytes kept back so that a full disk does not stop what frees space.

While the disk is full enqueue is refused, but settling, releasing and deleting still work: when they cannot
even be written, the reserve is given up for them. It is made again when there is room.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Final

log = logging.getLogger(__name__)

RESERVE_BYTES: Final = 8 * 1024 * 1024


class Reserve:
    """`full` says whether enqueue must be refused."""

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(path.name + ".reserve")
        self.full = False
        self._held = False
        self.check()

    def check(self) -> None:
        """Look at the free space: called by upkeep every second, and at open."""
        if not self._held:
            self._make()
        free = self._free_bytes()
        full = free < RESERVE_BYTES // 2 or not self._held
        if full != self.full:
            self.full = full
            if full:
                log.warning("The disk is full: no new jobs are taken until there is space. free_bytes=%d", free)
            else:
                log.warning("There is space on the disk again: new jobs are taken. free_bytes=%d", free)

    def disk_is_full(self) -> None:
        """A write failed for want of space: refuse new jobs, give the reserve to those that free space."""
        if not self.full:
            log.warning("The disk is full: no new jobs are taken until there is space.")
        self.full = True
        if self._held:
            self._path.unlink(missing_ok=True)
            self._held = False

    def release(self) -> None:
        """At close: the space is not needed while nobody runs."""
        self._path.unlink(missing_ok=True)
        self._held = False

    def _make(self) -> None:
        """Hold the reserve again, if that leaves as much free as it takes."""
        if self._free_bytes() < 2 * RESERVE_BYTES:
            return
        try:
            fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(fd, 0, RESERVE_BYTES)
            finally:
                os.close(fd)
        except OSError:
            self._path.unlink(missing_ok=True)
            return
        self._held = True

    def _free_bytes(self) -> int:
        stat = os.statvfs(self._path.parent)
        return stat.f_bavail * stat.f_frsize
