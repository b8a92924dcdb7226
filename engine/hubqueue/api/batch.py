"""Jobs taken together, to be handed on together: `async with queue.take(500) as batch`.

When the block ends they are completed in one transaction; when it raises they are given back, nothing is counted.
Their leases are renewed meanwhile.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from hubqueue.api.jobs import JobView
from hubqueue.api.units import Duration, duration_ms
from hubqueue.hub.leasekeeper import LeaseKeeper
from hubqueue.model.job import Leased
from hubqueue.model.limits import MAX_LEASE_BATCH, MAX_LEASE_MS, MAX_WAIT_MS, MIN_LEASE_MS, check_int
from hubqueue.model.outcome import Complete, Outcome, Reject, Release, Settlement
from hubqueue.model.verbs import Renewal, Verbs
from hubqueue.system import SYSTEM

log = logging.getLogger(__name__)


class Batch:
    """The jobs of one `take`, in the order of the queue; none where none came in time. Iterate it inside its block:
    a job that is lost by the time it comes to its turn is left out.
    """

    def __init__(self, verbs: Verbs, queue: str, count: int, *, wait_ms: int, lease_ms: int) -> None:
        check_int("count", count, 1, MAX_LEASE_BATCH)
        check_int("wait", wait_ms, 0, MAX_WAIT_MS)
        check_int("lease", lease_ms, MIN_LEASE_MS, MAX_LEASE_MS)
        self._keeper = LeaseKeeper(verbs, queue, f"{socket.gethostname()}-{os.getpid()}", lease_ms, SYSTEM, self._lose)
        self._queue = queue
        self._count = count
        self._wait_ms = wait_ms
        self._leased: list[Leased] = []
        self._outcomes: dict[str, Outcome] = {}
        self._lost: dict[str, Renewal] = {}  # by token

    def __len__(self) -> int:
        return len(self._leased)

    def __iter__(self) -> Iterator[JobView]:
        return (JobView(each.job) for each in self._leased if each.token not in self._lost)

    @property
    def lost(self) -> list[JobView]:
        """Those that are not ours any more: another run has or will have them, or they were cancelled."""
        return [JobView(each.job) for each in self._leased if each.token in self._lost]

    def reject(self, job: JobView, reason: str) -> None:
        """This one is no good: it becomes a dead letter when the block ends."""
        self._outcomes[job.id] = Reject(reason)

    def release(self, job: JobView, after: Duration = 0) -> None:
        """This one goes back when the block ends, held back for a while."""
        self._outcomes[job.id] = Release(duration_ms("after", after) / 1000)

    async def __aenter__(self) -> Self:
        self._leased = await self._keeper.take(self._count, self._wait_ms)
        if self._leased:
            self._keeper.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Errors: what the hub says when it cannot be asked to settle them before their leases are over."""
        try:
            if error is None and self._leased:
                await self._settle()
        finally:
            await self._keeper.give_back()
            await self._keeper.close()

    async def _settle(self) -> None:
        ends = [self._ending(each) for each in self._leased]
        stored = await self._keeper.settle(ends, as_long_as=lambda: len(self._lost) < len(self._leased))
        for leased, outcome in zip(self._leased, stored, strict=True):
            if outcome is None:
                self._lost[leased.token] = Renewal.LOST
            elif self._lost.get(leased.token) is Renewal.LOST:  # so it seemed, while the hub could not be asked
                del self._lost[leased.token]
        if self._lost:
            log.warning("not completed, lost or cancelled queue=%s count=%d", self._queue, len(self._lost))

    def _ending(self, leased: Leased) -> Settlement:
        outcome = self._outcomes.get(leased.job.id) or Complete()
        if self._lost.get(leased.token) is Renewal.CANCELLED:
            outcome = Release()  # the hub knows that it is cancelled
        return Settlement(leased.job.id, leased.token, outcome)

    def _lose(self, leased: Leased, renewal: Renewal) -> None:
        self._lost[leased.token] = renewal
