"""The gate that bounds the log: it closes while the checkpoint thread begins the log anew.

Passive checkpoints run beside the commits. Only a restart needs a moment without them; verbs queue up behind the
gate meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from hubqueue.store.checkpointer import PASSIVE_BYTES, SOFT_BYTES, Checkpointer
from hubqueue.store.wal import Wal

log = logging.getLogger(__name__)

FULL_DISK_BYTES: Final = PASSIVE_BYTES  # a full disk gets a short log: that is space too


class Gate:
    """`closed`: no group may open. `busy`: a checkpoint runs. `opened` is called when the gate opens again."""

    def __init__(self, wal: Wal, checkpointer: Checkpointer, opened: Callable[[], None]) -> None:
        self.closed = False
        self.busy = False
        self._wal = wal
        self._checkpointer = checkpointer
        self._opened = opened
        self._next_bytes = PASSIVE_BYTES

    def watch(self, *, disk_full: bool) -> None:
        """Look how long the log is: after each commit, outside any transaction."""
        if self.busy:
            return
        used = self._wal.used_bytes()
        if used >= max(FULL_DISK_BYTES if disk_full else SOFT_BYTES, self._next_bytes):
            self.closed = True
            self._start(used, restart=True)
        elif used >= self._next_bytes:
            self._start(used, restart=False)

    def _start(self, used: int, *, restart: bool) -> None:
        self.busy = True
        work = self._checkpointer.restart() if restart else self._checkpointer.passive()
        future = asyncio.wrap_future(work)
        future.add_done_callback(lambda done: self._done(done, used, restart))

    def _done(self, future: asyncio.Future[bool], used: int, restart: bool) -> None:
        self.busy = False
        error = future.exception()
        if error is not None:
            log.warning("A checkpoint failed and is tried again. error=%s", error)
        done = error is None and future.result()
        # after a restart count from zero; otherwise the next one after as much again has been written. A restart that
        # somebody held up (a backup reads for seconds) has cost the gate some time: the next one can wait longer
        wait = SOFT_BYTES if restart else PASSIVE_BYTES
        self._next_bytes = PASSIVE_BYTES if restart and done else used + wait
        if restart:
            self.closed = False
            self._opened()
