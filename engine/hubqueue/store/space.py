"""The space that the job file has on its disk: when new jobs are refused, and how a full disk heals.

The reserve says when it is full (store/reserve), the gate keeps the log short then and cuts it (store/barrier). Every
verb that takes new jobs asks `takes`; maintenance calls `check` every second, and gives pages back.
"""

from __future__ import annotations

from typing import Final

from hubqueue.errors import DiskFull
from hubqueue.store.barrier import CheckpointBarrier
from hubqueue.store.reserve import LARGE_BYTES, Reserve
from hubqueue.store.wal import Wal

LOOK_MS: Final = 10  # at full speed about 2 MB are written in this time


class Space:
    """Of one open store."""

    def __init__(self, reserve: Reserve, wal: Wal, gate: CheckpointBarrier) -> None:
        self._reserve = reserve
        self._wal = wal
        self._gate = gate
        self._looked_ms = 0

    @property
    def full(self) -> bool:
        """Whether new jobs are refused, as far as anybody has looked."""
        return self._reserve.full

    def takes(self, now_ms: int, size: int) -> bool:
        """Whether new jobs of so many bytes may be taken. Seldom really looks, but for large ones."""
        if self._reserve.full or (0 <= now_ms - self._looked_ms < LOOK_MS and size < LARGE_BYTES):
            return not self._reserve.full
        self._looked_ms = now_ms
        return self._reserve.takes(self._wal.used_bytes(), size)

    def error(self) -> DiskFull:
        """What is answered to what finds no space."""
        if not self._gate.held:
            return DiskFull()
        megabytes = self._wal.file_bytes() / 1e6
        return DiskFull(
            f"The disk is full, and another program that reads the job file holds {megabytes:,.1f} MB of it up",
            hint="end what has the job file open (sqlite3, a copy, a backup) or free some space; "
            "the hub goes on by itself",
        )

    def give_up(self, *, freeing: bool) -> None:
        """Something found no space: it gets a part of what is kept back, or all if it will free some."""
        self._reserve.give_up(freeing=freeing)

    def check(self) -> bool:
        """Take new jobs again once there is space; whether they are refused."""
        self._reserve.check(self._wal.used_bytes())
        self._gate.watch(short=self._reserve.short)
        return self._reserve.full

    def watch(self, now_ms: int) -> None:
        """Look how long the log is: after commits that wrote something."""
        self.takes(now_ms, 0)
        self._gate.watch(short=self._reserve.short)

    async def cut(self, *, always: bool = False) -> None:
        """Give back what the log takes of the disk, unless somebody reads it, and look whether that was enough.

        always: also if that is little, because of what it holds.
        """
        await self._gate.cut(always=always)
        self.check()
