"""The gate that bounds the log: it closes while the checkpoint thread begins the log anew.

Passive checkpoints run beside the commits. Only a restart needs a moment without them; verbs queue up behind the
gate meanwhile. On a full disk the log is cut instead: what it takes of the disk is space too.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from typing import Final

from hubqueue.store.checkpointer import HARD_BYTES, PASSIVE_BYTES, SOFT_BYTES, Checkpointer
from hubqueue.store.wal import Wal

log = logging.getLogger(__name__)

SHORT_BYTES: Final = 1024 * 1024  # the log of a disk that is full, or nearly so
WORTH_BYTES: Final = 256 * 1024  # less than this is not worth a pause
TOLD_AFTER: Final = 5  # cuts that were held up, about one a second, before somebody hears of it


class CheckpointBarrier:
    """`closed`: no group may open. `busy`: a checkpoint runs. `held`: somebody reads, so that the log cannot be cut."""

    def __init__(
        self,
        wal: Wal,
        checkpointer: Checkpointer,
        opened: Callable[[], None],
        failed: Callable[[sqlite3.Error], object],
    ) -> None:
        """opened is called when the gate opens again; failed hears the error of a checkpoint."""
        self.closed = False
        self.busy = False
        self._wal = wal
        self._checkpointer = checkpointer
        self._opened = opened
        self._failed = failed
        self._passive_bytes = PASSIVE_BYTES
        self._again_bytes = 0  # somebody held the log up: not before it is as long as this
        self._held_up = 0
        self._running: asyncio.Future[bool] | None = None

    @property
    def held(self) -> bool:
        return self._held_up >= TOLD_AFTER

    def watch(self, *, short: bool) -> None:
        """Look how long the log is: after each commit, outside any transaction. short: so it is to be."""
        used = self._wal.used_bytes()
        if self.busy:  # a passive checkpoint does not end what is written meanwhile
            self.closed |= used >= max(4 * SHORT_BYTES if short else HARD_BYTES, self._again_bytes)
        elif used >= max(SHORT_BYTES if short else SOFT_BYTES, self._again_bytes):
            self._begin_anew(used, cut=short)
        elif used >= self._passive_bytes:
            self._start(self._checkpointer.passive(), used, anew=False)

    async def cut(self, *, always: bool = False) -> None:
        """Give back what the log takes of the disk, if that is worth it."""
        while self._running is not None:
            await asyncio.wait({self._running})
        if always or self._wal.file_bytes() >= WORTH_BYTES:
            await asyncio.wait({self._begin_anew(self._wal.used_bytes(), cut=True)})

    def _begin_anew(self, used: int, *, cut: bool) -> asyncio.Future[bool]:
        self.closed = True
        work = self._checkpointer.truncate() if cut else self._checkpointer.restart()
        running = self._start(work, used, anew=True)
        running.add_done_callback(lambda done: self._begun(done, used, cut))
        return running

    def _start(self, work: asyncio.Future[bool], used: int, *, anew: bool) -> asyncio.Future[bool]:
        self.busy = True
        self._running = work
        work.add_done_callback(lambda done: self._done(done, used, anew=anew))
        return work

    def _done(self, future: asyncio.Future[bool], used: int, *, anew: bool) -> None:
        self.busy = False
        self._running = None
        self._passive_bytes = used + PASSIVE_BYTES
        if self.closed and not anew:
            self._begin_anew(self._wal.used_bytes(), cut=True)
        error = future.exception()
        if error is not None:
            log.warning("A checkpoint failed and is tried again. error=%s", error)
            if isinstance(error, sqlite3.Error):
                self._failed(error)  # the log may find no space in the file: it gets what is kept back

    def _begun(self, future: asyncio.Future[bool], used: int, cut: bool) -> None:
        if future.exception() is None and future.result():
            self._passive_bytes, self._again_bytes = PASSIVE_BYTES, 0
            self._held_up = 0
        else:
            # a restart that somebody held up (a backup reads for seconds) has cost some time: the next one can wait
            self._again_bytes = used + (PASSIVE_BYTES if cut else SOFT_BYTES)
            self._held_up += cut
            if cut and self._held_up == TOLD_AFTER:
                text = "The disk is full, and something reads the job file, so that its log cannot be cut. log_bytes=%d"
                log.warning(text, self._wal.file_bytes())
        self.closed = False
        self._opened()
