"""Jobs taken together, to be handed on together: `async with queue.take(500) as batch`.

When the block ends they are completed in one transaction; when it raises they are given back, nothing is counted.
Their leases are renewed meanwhile.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Iterator
from types import TracebackType
from typing import Final, Self

from hubqueue.api.jobs import JobView
from hubqueue.api.units import Duration, duration_ms
from hubqueue.errors import HubqueueError, LockLost, NotFound, WrongState
from hubqueue.model.job import Leased
from hubqueue.model.limits import MAX_LEASE_BATCH, MAX_LEASE_MS, MAX_WAIT_MS, MIN_LEASE_MS, check_int
from hubqueue.model.outcome import Complete, Outcome, Reject, Release, Settlement
from hubqueue.model.verbs import Verbs

BEATS_PER_LEASE: Final = 3  # two renewals may fail before a lease runs out

log = logging.getLogger(__name__)


class Batch:
    """The jobs of one `take`, in the order of the queue; none where none came in time. Iterate it inside its block."""

    def __init__(self, verbs: Verbs, queue: str, count: int, *, wait_ms: int, lease_ms: int) -> None:
        check_int("count", count, 1, MAX_LEASE_BATCH)
        check_int("wait", wait_ms, 0, MAX_WAIT_MS)
        check_int("lease", lease_ms, MIN_LEASE_MS, MAX_LEASE_MS)
        self._verbs = verbs
        self._queue = queue
        self._count = count
        self._wait_ms = wait_ms
        self._lease_ms = lease_ms
        self._leased: list[Leased] = []
        self._outcomes: dict[str, Outcome] = {}
        self._renewer: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._leased)

    def __iter__(self) -> Iterator[JobView]:
        return iter([JobView(each.job) for each in self._leased])

    def reject(self, job: JobView, reason: str) -> None:
        """This one is no good: it becomes a dead letter when the block ends."""
        self._outcomes[job.id] = Reject(reason)

    def release(self, job: JobView, after: Duration = 0) -> None:
        """This one goes back when the block ends, held back for a while."""
        self._outcomes[job.id] = Release(duration_ms("after", after) / 1000)

    async def __aenter__(self) -> Self:
        owner = f"{socket.gethostname()}-{os.getpid()}"
        self._leased = await self._verbs.lease(
            self._queue, self._count, owner=owner, lease_ms=self._lease_ms, wait_ms=self._wait_ms
        )
        if self._leased:
            self._renewer = asyncio.create_task(self._renew(), name=f"renew-{self._queue}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._renewer is not None:
            self._renewer.cancel()
            await asyncio.gather(self._renewer, return_exceptions=True)
        if error is None:
            await self._settle([self._ending(each, Complete()) for each in self._leased])
            return
        try:
            await self._settle([Settlement(each.job.id, each.token, Release()) for each in self._leased])
        except HubqueueError as trouble:  # they come back by themselves when their leases end
            log.warning("jobs were not given back queue=%s count=%d error=%s", self._queue, len(self), trouble)

    def _ending(self, each: Leased, otherwise: Outcome) -> Settlement:
        return Settlement(each.job.id, each.token, self._outcomes.get(each.job.id, otherwise))

    async def _settle(self, endings: list[Settlement]) -> None:
        """All at once; one by one where a lease is gone, so that it does not hold back the others."""
        if not endings:
            return
        try:
            await self._verbs.settle(endings)
        except (LockLost, NotFound, WrongState):
            lost = sum([not await self._settle_one(each) for each in endings])
            log.warning("leases were lost, these jobs come again queue=%s count=%d", self._queue, lost)

    async def _settle_one(self, ending: Settlement) -> bool:
        try:
            await self._verbs.settle([ending])
        except (LockLost, NotFound, WrongState):
            return False
        return True

    async def _renew(self) -> None:
        held = [(each.job.id, each.token) for each in self._leased]
        every_s = self._lease_ms / 1000 / BEATS_PER_LEASE
        while True:
            await asyncio.sleep(every_s)
            try:
                async with asyncio.timeout(every_s):
                    await self._verbs.extend(held, self._lease_ms)
            except (HubqueueError, TimeoutError) as error:
                log.warning("leases not renewed, tried again queue=%s error=%s", self._queue, error or "no answer")
