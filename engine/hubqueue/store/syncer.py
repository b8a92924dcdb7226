"""Power-cut safety: natural groups of fdatasync, one running and one collecting.

A sync that is asked for covers everything committed before it was asked. Callbacks run on the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from hubqueue.store.wal import Wal


class Syncer:
    """`request(done)` calls done(None) when all that is committed now is on the disk, or done(error)."""

    def __init__(self, wal: Wal, interval_s: float, failed: Callable[[OSError], None]) -> None:
        """interval_s: while something is unsynced, sync at least this often."""
        self._wal = wal
        self._interval_s = interval_s
        self._failed = failed
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, "hubqueue-sync")
        self._waiting: list[Callable[[OSError | None], None]] = []
        self._running = False
        self._dirty = False
        self._timer: asyncio.TimerHandle | None = None
        self._broken: OSError | None = None
        self.count = 0

    def committed(self) -> None:
        """A group was committed: it will be synced within the interval."""
        self._dirty = True
        if self._timer is None:
            self._timer = self._loop.call_later(self._interval_s, self._due)

    def request(self, done: Callable[[OSError | None], None]) -> None:
        if self._broken is not None or (not self._dirty and not self._running):
            done(self._broken)
            return
        self._waiting.append(done)
        if not self._running:
            self._start()

    def recovered(self) -> None:
        """The store has made everything safe in another way after a failed sync."""
        self._broken = None

    def close(self) -> None:
        """Wait for a running sync and stop the thread."""
        if self._timer is not None:
            self._timer.cancel()
        self._thread.shutdown(wait=True)

    def _due(self) -> None:
        self._timer = None
        if self._dirty and not self._running and self._broken is None:
            self._start()

    def _start(self) -> None:
        group, self._waiting = self._waiting, []
        self._running = True
        self._dirty = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        future = self._loop.run_in_executor(self._thread, self._wal.sync)
        future.add_done_callback(lambda done: self._finished(group, done))

    def _finished(self, group: list[Callable[[OSError | None], None]], future: asyncio.Future[None]) -> None:
        self._running = False
        self.count += 1
        error = future.exception()
        if isinstance(error, OSError):
            self._broken = error  # never just tried again: the kernel may have dropped the pages
            self._failed(error)
        elif error is not None:
            raise error
        for done in group:
            done(error)
        if self._waiting and self._broken is not None:
            waiting, self._waiting = self._waiting, []
            for done in waiting:
                done(self._broken)
        elif self._waiting:
            self._start()
        elif self._dirty and self._timer is None:
            self._timer = self._loop.call_later(self._interval_s, self._due)
