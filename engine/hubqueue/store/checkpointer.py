"""Keeps the WAL bounded, from a thread and a connection of its own.

Passive checkpoints alone never reset a log that is always in use, and a RESTART on the loop would stall it.
So: passive from PASSIVE_BYTES; above SOFT_BYTES the store closes its gate, this thread runs RESTART and makes
the first commit of the new log itself (SQLite syncs the log's header then), and the gate opens again.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from hubqueue.errors import DamagedFile
from hubqueue.store.disk import Disk
from hubqueue.store.file import connect_aside
from hubqueue.system import System

PASSIVE_BYTES: Final = 4 * 1024 * 1024
SOFT_BYTES: Final = 16 * 1024 * 1024
HARD_BYTES: Final = 64 * 1024 * 1024  # nothing is written beyond it while a checkpoint runs
WAIT_S: Final = 0.05  # for readers that hold the log up; the gate is closed meanwhile

TOUCH: Final = "INSERT OR REPLACE INTO meta (key, value) VALUES ('log_restarts', ?)"


class Checkpointer:
    """One checkpoint at a time; the store decides when."""

    def __init__(self, path: Path, system: System, disk: Disk) -> None:
        self._loop = asyncio.get_running_loop()
        self._system = system
        self._db = connect_aside(path, disk, wait_s=WAIT_S)
        self._thread = ThreadPoolExecutor(1, "hubqueue-checkpoint")

    def passive(self) -> asyncio.Future[bool]:
        """Copy what is in the log into the database, beside running commits. False: somebody held it up."""
        return self._beside(lambda: self._checkpoint("PASSIVE"))

    def restart(self) -> asyncio.Future[bool]:
        """Copy everything and begin the log anew. The write connection must be outside a transaction."""
        return self._beside(lambda: self._begin_anew("RESTART"))

    def truncate(self) -> asyncio.Future[bool]:
        """Copy everything and give the log's space back, which a restart keeps. False: somebody held it up."""
        return self._beside(lambda: self._begin_anew("TRUNCATE"))

    def recover(self) -> asyncio.Future[bool]:
        """After a failed sync: write everything from the log into the database, sync that instead, and check it.

        False: somebody held it up. Its errors: sqlite3.Error, DamagedFile.
        """
        return self._beside(self._recover)

    def close(self) -> None:
        self._thread.shutdown(wait=True)
        self._db.close()

    def _beside(self, work: Callable[[], bool]) -> asyncio.Future[bool]:
        return self._loop.run_in_executor(self._thread, work)

    def _checkpoint(self, mode: str) -> bool:
        busy, _, _ = self._db.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()
        return not busy

    def _begin_anew(self, mode: str) -> bool:
        try:
            done = self._checkpoint(mode)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise
            return False  # a reader (a backup, an export) holds the log; the store tries again later
        if done:
            self._db.execute(TOUCH, (self._system.wall_ms(),))
        return done

    def _recover(self) -> bool:
        if not self._checkpoint("TRUNCATE"):
            return False
        (verdict,) = self._db.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            raise DamagedFile(f"The job file is damaged: {verdict}")
        return True
