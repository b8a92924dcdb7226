"""The worker loop: lease jobs of a queue, run the handler, settle how it ended. Over any Verbs, near or far.

A run belongs to the worker only while its lease does: when the lease is lost, or the job cancelled, its handler
is cancelled and nothing is settled. Stopping counts nothing: what does not end within the grace is released.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import logging
import os
import random
import socket
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Self
from uuid import uuid4

from hubqueue.errors import HubqueueError, Invalid
from hubqueue.model.job import Leased
from hubqueue.model.limits import MAX_LEASE_BATCH, MAX_LEASE_MS, MAX_WAIT_MS, MIN_LEASE_MS, check_int, check_queue
from hubqueue.model.outcome import Fail, Outcome, Release, Settlement
from hubqueue.model.verbs import Verbs
from hubqueue.work import ending
from hubqueue.work.events import Ended, Started, Taken, WorkerEvent
from hubqueue.work.renewer import Renewer
from hubqueue.work.running import RunningJob
from hubqueue.work.settler import Settler

Handler = Callable[[RunningJob], Awaitable[Any] | Any]

MAX_CONCURRENCY: Final = 10_000
FIRST_RETRY_S: Final = 0.2  # after the hub answered a lease with trouble
LONGEST_RETRY_S: Final = 10.0
GIVE_BACK_S: Final = 5.0  # for releasing what did not end; the hub does it by itself if the link is down too

log = logging.getLogger(__name__)


class Worker:
    """Runs `handler` for the jobs of `queue`: `await worker.run()`, or `async with worker`.

    An async handler runs in the event loop, a plain one in a thread.
    Units: *_ms milliseconds, grace_s seconds.
    """

    def __init__(
        self,
        verbs: Verbs,
        queue: str,
        handler: Handler,
        *,
        concurrency: int = 1,
        lease_ms: int = 30_000,
        poll_ms: int = 30_000,
        grace_s: float = 30.0,
        owner: str | None = None,
    ) -> None:
        check_queue(queue)
        check_int("concurrency", concurrency, 1, MAX_CONCURRENCY)
        check_int("lease_ms", lease_ms, MIN_LEASE_MS, MAX_LEASE_MS)
        check_int("poll_ms", poll_ms, 0, MAX_WAIT_MS)
        self.queue = queue
        self.owner = owner or f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"
        self._verbs = verbs
        self._handler = handler
        self._concurrency = concurrency
        self._lease_ms = lease_ms
        self._poll_ms = poll_ms
        self._grace_s = grace_s
        self._threads = None if _is_async(handler) else ThreadPoolExecutor(concurrency, f"hubqueue-{queue}")
        self._listeners: list[Callable[[WorkerEvent], None]] = []
        self._runs: dict[asyncio.Task[None], RunningJob] = {}
        self._settler = Settler(verbs)
        self._room = asyncio.Event()
        self._stopping = asyncio.Event()
        self._main: asyncio.Task[None] | None = None

    def listen(self, receive: Callable[[WorkerEvent], None]) -> Callable[[], None]:
        """Call `receive` for every event of this worker. Returns what ends it."""
        self._listeners.append(receive)
        return lambda: self._listeners.remove(receive)

    @property
    def running(self) -> int:
        """Jobs leased and not settled yet."""
        return len(self._runs)

    async def run(self) -> None:
        """Work until `stop`; return when everything has ended.

        Errors: what the hub answers to a lease, unless it may be asked again.
        """
        if self._stopping.is_set():
            raise Invalid("a worker that was stopped does not run again", hint="make a new one")
        ...
