"""Power-cut safety: natural groups of fdatasync, one running and one collecting.

A sync that is asked for covers everything committed before it was asked. Callbacks run on the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from hubqueue.store.horizon import Horizon
from hubqueue.store.wal import Wal

Failed = Callable[[OSError, Callable[[], None]], None]


class Syncer:
    """`request(done)` calls done(None) when all that is committed now is on the disk, or done(error)."""

    def __init__(self, wal: Wal, interval_s: float, failed: Failed, *, seq: int) -> None:
        """interval_s: while something is unsynced, sync at least this often; seq: jobs below are on the disk.

        failed: told once of an error, and what to call when the file is in use again.
        """
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
        self._committed_seq = seq
        self._horizon = Horizon(seq)
        self.count = 0

    def committed(self, seq: int) -> None:
        """A group was committed, with jobs below this number: it will be synced within the interval."""
        self._dirty = True
        self._committed_seq = seq
        if self._timer is None:
            self._timer = self._loop.call_later(self._interval_s, self._due)

    def request(self, done: Callable[[OSError | None], None]) -> None:
        if self._broken is not None or (not self._dirty and not self._running):
            done(self._broken)
            return
        self._waiting.append(done)
        if not self._running:
            self._start()

    def on_disk(self, seq: int) -> asyncio.Future[None]:
        """Done once this job, which is committed, is on the disk. Its exception is an OSError."""
        waited = self._horizon.wait(seq)
        if not waited.done():
            if self._broken is not None:
                self._horizon.failed(self._broken)
            elif self._dirty and not self._running and self._hurries():
                self._start()
        return waited

    def _hurries(self) -> bool:
        return self._horizon.may_hurry(self._loop.time())

    def recovered(self) -> None:
        """The store has made everything safe in another way after a failed sync."""
        self._broken = None
        self._horizon.reached(self._committed_seq)

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
        covered = self._committed_seq
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        future = self._loop.run_in_executor(self._thread, self._wal.sync)
        future.add_done_callback(lambda done: self._finished(group, covered, done))

    def _finished(
        self, group: list[Callable[[OSError | None], None]], covered: int, future: asyncio.Future[None]
    ) -> None:
        self._running = False
        self.count += 1
        error = future.exception()
        if isinstance(error, OSError):
            self._broken = error  # never just tried again: the kernel may have dropped the pages
            self._failed(error, self.recovered)
            self._horizon.failed(error)
        elif error is not None:
            raise error
        else:
            self._horizon.reached(covered)
        for done in group:
            done(error)
        if self._waiting and self._broken is not None:
            waiting, self._waiting = self._waiting, []
            for done in waiting:
                done(self._broken)
        elif self._waiting or (self._dirty and self._horizon.waited_for and self._hurries()):
            self._start()
        elif self._dirty and self._timer is None:
            self._timer = self._loop.call_later(self._interval_s, self._due)
