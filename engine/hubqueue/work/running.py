"""A leased job as its handler sees it: what it is, and what the handler may tell the hub meanwhile.

`progress`, `log`, `publish` and `extend` are awaited in an async handler and simply called in a plain one, which runs
in a thread of its own: there they return when it is done.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Coroutine, Generator
from functools import cached_property
from typing import Any

from hubqueue.client.hubclient import HubClient
from hubqueue.errors import LockLost
from hubqueue.hub.leasekeeper import LeaseKeeper
from hubqueue.model import payload
from hubqueue.model.job import Leased, allowed_attempts
from hubqueue.model.outcome import Outcome
from hubqueue.model.text import storable


class RunningJob:
    """One run of one job. Made by the worker, in its event loop."""

    def __init__(self, verbs: HubClient, keeper: LeaseKeeper, leased: Leased) -> None:
        self.leased = leased
        self.job = leased.job
        self.token = leased.token
        self.lost = False
        self.finished = False  # the handler has ended; its outcome may still have to be stored
        self.verdict: Outcome | None = None  # of a run that is cancelled although its lease is good
        self._verbs = verbs
        self._keeper = keeper
        self._loop = asyncio.get_running_loop()
        self._thread = threading.get_ident()

    @property
    def id(self) -> str:
        return self.job.id

    @property
    def name(self) -> str:
        return self.job.name

    @property
    def queue(self) -> str:
        return self.job.queue

    @property
    def attempts(self) -> int | None:
        """How often the job may be tried; None: as long as it is kept trying."""
        return allowed_attempts(self.job)

    @property
    def attempts_made(self) -> int:
        """Runs that failed before this one."""
        return self.job.attempts

    @cached_property
    def data(self) -> Any:
        """The job's data, decoded when first asked for; None when there is none."""
        return payload.decode(self.job.data)

    def progress(self, value: float, message: str | None = None) -> Awaitable[None]:
        """Tell how far the job is, 0 to 100."""
        told = None if message is None else storable(message)
        return self._do(self._verbs.progress(self.id, self._held(), value, told))

    def log(self, text: str, level: str = "info") -> Awaitable[None]:
        """Add a line to the job's log."""
        return self._do(self._verbs.log(self.id, storable(text), level))

    def publish(self, channel: str, data: Any = None) -> Awaitable[None]:
        """Tell everybody who listens to a channel now. Not part of the job's outcome: a run that fails has said it."""
        return self._do(self._publish(channel, payload.encode(data)))

    async def _publish(self, channel: str, data: bytes) -> None:
        await self._verbs.publish(channel, data)

    def extend(self, lease_ms: int) -> Awaitable[None]:
        """Lease the job for so long from now on, so that a handler that holds up everything keeps it.

        Units: milliseconds. Errors: LockLost when the lease is gone.
        """
        self._held()
        return self._do(self._keeper.extend(self.leased, lease_ms))

    def _held(self) -> str:
        if self.lost:
            raise LockLost
        return self.token

    def _do(self, work: Coroutine[Any, Any, None]) -> Awaitable[None]:
        if threading.get_ident() == self._thread:
            return work
        asyncio.run_coroutine_threadsafe(work, self._loop).result()
        return _Done()


class _Done:
    """What is over already."""

    def __await__(self) -> Generator[None, None, None]:
        return
        yield
