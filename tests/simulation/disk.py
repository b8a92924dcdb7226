"""The disk of a simulated process: a real folder on a machine that is always the same one, and that may fail it.

SQLite writes past it, at once and whole: what SQLite does within one statement is one step. Syncs are told here; what
was written since the last one is lost by a power cut, or parts of it are.
"""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from hubqueue.store.disk import Disk

READS: Final = frozenset(["close", "dup", "dup2", "free_bytes", "fstat", "pread", "read_text", "stat"])
CHANGES: Final = frozenset(name for name in vars(Disk) if not name.startswith("_")) - READS
SECTOR_BYTES: Final = 512
PLENTY: Final = 1 << 40


class Killed(SystemExit):
    """Nothing is left of the process whose code meets this; a loop lets it through."""


class SimulatedDisk(Disk):
    """trace: when what was synced, by its size. last: the process ends before this change of the disk, from 1.

    slow_s: how long a sync takes at most. full: nothing more fits.
    """

    def __init__(self, now_s: Callable[[], float], last: int | None = None) -> None:
        self.trace: list[tuple[float, int]] = []
        self.changes = 0
        self.last = last
        self.slow_s = 0.0
        self.dead = False
        self.dies: Callable[[], None] = lambda: None
        self._now_s = now_s
        self._synced: dict[Path, bytes] = {}  # logs as they are on the disk for certain
        self._syncing: dict[Path, bytes] | None = None  # by a sync that goes on
        self._connections: list[sqlite3.Connection] = []
        self._full = False

    def __getattribute__(self, name: str) -> Any:
        method = super().__getattribute__(name)
        if name in CHANGES:
            self.changes += 1
            if self.dead or (self.last is not None and self.changes >= self.last):
                self.dies()
                raise Killed
        return method

    @property
    def full(self) -> bool:
        return self._full

    @full.setter
    def full(self, full: bool) -> None:
        self._full = full
        for connection in self._connections:
            with suppress(sqlite3.Error):
                limit = connection.execute("PRAGMA page_count").fetchone()[0] if full else PLENTY
                connection.execute(f"PRAGMA max_page_count = {limit}").fetchone()

    def copy_to(self, folder: Path, copy: Path, cut: random.Random | None = None) -> None:
        """What the process leaves, as its next life finds it. cut: by a power cut, which keeps some of the unsynced."""
        shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("*-shm"))
        if cut is None:
            return
        for path in folder.glob("*-wal"):
            _keep_some(copy / path.name, self._synced.get(path.resolve(), b""), cut)

    def fdatasync(self, fd: int) -> None:
        self.trace.append((self._now_s(), self.fstat(fd).st_size))
        path = Path(f"/proc/self/fd/{fd}").resolve()
        if path.name.endswith("-wal"):
            if self._syncing is None:
                self._synced[path] = path.read_bytes()
            else:
                self._syncing[path] = path.read_bytes()

    @contextmanager
    def syncing(self) -> Iterator[Callable[[], None]]:
        """What is synced within is on the disk for certain once what this gives is called."""
        synced: dict[Path, bytes] = {}
        self._syncing = synced
        try:
            yield lambda: self._synced.update(synced)
        finally:
            self._syncing = None

    def fsync(self, fd: int) -> None:
        pass

    def allocate(self, fd: int, count: int) -> None:
        if self._full:
            raise OSError(28, "No space left on device")
        super().allocate(fd, count)

    def read_text(self, path: Path) -> str:
        return f"what {path} says of this machine"

    def free_bytes(self, folder: Path) -> int:
        return 0 if self._full else PLENTY

    def connect(self, database: Path | str, **options: Any) -> sqlite3.Connection:
        self._connections.append(super().connect(database, **options))
        return self._connections[-1]


def _keep_some(path: Path, synced: bytes, chance: random.Random) -> None:
    """What a power cut leaves of a file: what was synced, and of the rest nothing, a beginning or anything."""
    now = path.read_bytes()
    way = chance.choice(("nothing", "a beginning", "anything"))
    if way == "nothing":
        path.write_bytes(synced)
        return
    until = chance.randrange(len(now) + 1)
    left = bytearray(synced.ljust(len(now), b"\0"))
    for at in range(0, len(now), SECTOR_BYTES):
        if at < until if way == "a beginning" else chance.random() < 0.5:
            left[at : at + SECTOR_BYTES] = now[at : at + SECTOR_BYTES]
    path.write_bytes(left)
