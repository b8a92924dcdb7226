"""What follows a sync that failed: nothing more is taken until the file has been checked.

What the kernel dropped is unknown then, so the sync is never just tried again: all of the log is moved into the
database, which is synced and checked instead.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
from collections.abc import Callable

from hubqueue.errors import DamagedFile, HubqueueError, StoreError
from hubqueue.store.checkpointer import Checkpointer

log = logging.getLogger(__name__)


class Recovery:
    """`broken` is the answer to every verb meanwhile."""

    def __init__(self, checkpointer: Checkpointer) -> None:
        self.broken: HubqueueError | None = None
        self._checkpointer = checkpointer
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[None] | None = None

    def begin(self, error: OSError, done: Callable[[], None]) -> None:
        """A sync has failed. done: called when the file is in use again."""
        log.error("The log could not be synced; the file is checked before more is taken. error=%s", error)
        self.broken = not_synced(error)
        self._task = self._loop.create_task(self._recover(done))

    def stop(self) -> None:
        """The file is closed."""
        if self._task is not None:
            self._task.cancel()

    async def _recover(self, done: Callable[[], None]) -> None:
        moved = False
        while not moved:
            try:  # the checkpoint thread does one thing at a time: a running checkpoint ends first
                moved = await self._checkpointer.recover()
            except (sqlite3.Error, DamagedFile) as error:
                log.error("The job file is not usable; restart the hub when its disk is sound. error=%s", error)
                return
        self.broken = None
        done()
        log.warning("The job file was checked and is in use again.")


def not_synced(error: OSError) -> StoreError:
    """What the callers hear whose data the disk did not take."""
    return StoreError(
        f"The disk did not take the data: {os.strerror(error.errno or 0)}",
        hint="look at the disk and the hub's log; it may have been stored all the same: ask for it, or use a job id",
    )
