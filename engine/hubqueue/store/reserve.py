"""The disk reserve: a few megabytes kept back so that a full disk does not stop what frees space.

New jobs are refused while what is free would not hold the log once more: a checkpoint may have to move all of it into
the database. Settling, releasing and deleting go on; if even they find no space, the reserve is given up for them. It
is made again when there is room.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Final

from hubqueue.store.wal import Wal

log = logging.getLogger(__name__)

RESERVE_BYTES: Final = 8 * 1024 * 1024
MARGIN_BYTES: Final = RESERVE_BYTES // 2  # what must be free beside the log
LOOK_MS: Final = 10  # at full speed about 2 MB are written in this time
LOOK_BYTES: Final = 1024 * 1024
UNKNOWN_BYTES: Final = 1 << 62


class Reserve:
    """`full` says whether new jobs must be refused."""

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(path.name + ".reserve")
        self._held = self._path.exists() and self._path.stat().st_size >= RESERVE_BYTES  # after a kill
        self._looked_ms = 0
        self.full = False

    def look(self, log: Wal, now_ms: int, size: int) -> None:
        """Before new jobs of so many bytes are taken: is there space for the log once more? Seldom really looks."""
        if 0 <= now_ms - self._looked_ms < LOOK_MS and size < LOOK_BYTES:
            return
        self._looked_ms = now_ms
        if not self.full and self._free_bytes() < MARGIN_BYTES + log.used_bytes():
            self._set(True)

    def check(self, log_bytes: int) -> None:
        """Called by upkeep every second: hold the reserve again, take new jobs again."""
        if not self._held and self._free_bytes() >= 2 * RESERVE_BYTES:
            self._make()
        needed = (RESERVE_BYTES if self.full else MARGIN_BYTES) + log_bytes  # not to and fro
        self._set(self._free_bytes() < needed or not self._held)

    def give_up(self) -> bool:
        """A write found no space: refuse new jobs, leave the reserve to those that free some; whether there was one."""
        self._set(True)
        held, self._held = self._held, False
        self._remove()
        return held

    def release(self) -> None:
        """At close: the space is not needed while nobody runs."""
        self._remove()
        self._held = False

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
            fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(fd, 0, RESERVE_BYTES)
            finally:
                os.close(fd)
        except OSError:
            self._remove()
            return
        self._held = True

    def _remove(self) -> None:
        try:
            self._path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("The reserve could not be removed. file=%s error=%s", self._path.name, error)

    def _free_bytes(self) -> int:
        try:
            stat = os.statvfs(self._path.parent)
        except OSError:
            return UNKNOWN_BYTES  # a disk that has failed is not full: writing to it says what it is
        return stat.f_bavail * stat.f_frsize
