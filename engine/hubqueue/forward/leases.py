"""The local side of a forwarder: what it has leased of its queue, kept while it is written and settled after.

Every call goes to the hub's verbs. A local hub that is busy, full or away is asked again until it answers:
a batch that was delivered must not be forgotten because of it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Final, Protocol, runtime_checkable

from hubqueue.errors import HubqueueError, LockLost, LockRequired, NotFound, WrongState
from hubqueue.model.job import Leased
from hubqueue.model.outcome import Release, Settlement
from hubqueue.model.state import State
from hubqueue.model.verbs import Renewal, Verbs

log = logging.getLogger(__name__)

# A dead job may be retried and sent for the first time, so it is unsettled as well.
UNSETTLED: Final = (State.WAITING, State.DELAYED, State.ACTIVE, State.WAITING_CHILDREN, State.FAILED)
FLOOR_EVERY_S: Final = 1.0  # an old floor is a low floor, which is safe; a query for each batch is not free
FIRST_RETRY_S: Final = 0.1
LONGEST_RETRY_S: Final = 5.0
LEASE_GONE: Final = (LockLost, LockRequired, NotFound, WrongState)


@runtime_checkable
class Reclaims(Protocol):
    """A hub in this process: nobody else can hold what this forwarder leased before a restart."""

    async def reclaim(self, queue: str, owner: str) -> int: ...


@runtime_checkable
class Syncs(Protocol):
    """A hub in this process: it knows what of it is on the disk."""

    async def on_disk(self, seq: int) -> None: ...


class Leases:
    """The leases of one forwarder. Units: lease_ms milliseconds."""

    def __init__(self, local: Verbs, queue: str, owner: str, lease_ms: int) -> None:
        self._local = local
        self._queue = queue
        self._owner = owner
        self._lease_ms = lease_ms
        self._first = asyncio.Lock()
        self._reclaimed = False
        self._held: dict[str, str] = {}  # job id -> token
        self._floor: int | None = None
        self._floor_at_s = -FLOOR_EVERY_S

    @property
    def count(self) -> int:
        """Jobs held now."""
        return len(self._held)

    def holds(self, leased: Leased) -> bool:
        """Whether this lease has not been ended."""
        return self._held.get(leased.job.id) == leased.token

    async def take(self, count: int, wait_ms: int) -> tuple[Leased, ...]:
        """Up to `count` jobs in the queue's order; waits up to wait_ms until there is one."""
        async with self._first:
            await self._reclaim()
        jobs = await self._local.lease(self._queue, count, owner=self._owner, lease_ms=self._lease_ms, wait_ms=wait_ms)
        self._held.update((leased.job.id, leased.token) for leased in jobs)
        return tuple(jobs)

    async def stand(self, jobs: Sequence[Leased]) -> bool:
        """Renew these: whether none of them was cancelled or removed while it was held. Errors: those of the hub."""
        renewals = await self._local.extend([(leased.job.id, leased.token) for leased in jobs], self._lease_ms)
        return all(renewal is Renewal.RENEWED for renewal in renewals)

    async def settle(self, settlements: Sequence[Settlement]) -> None:
        """End leases; asks again while the hub has trouble. A lease that is gone by then is no trouble of ours."""
        try:
            await self._settle(settlements)
        finally:
            for settlement in settlements:
                self._held.pop(settlement.id, None)

    async def release(self, jobs: Sequence[Leased]) -> None:
        """Give jobs back in their place; nothing is counted."""
        await self.settle([Settlement(leased.job.id, leased.token, Release()) for leased in jobs])

    async def renew(self) -> None:
        """Extend everything held, for as long as the forwarder runs."""
        while True:
            await asyncio.sleep(self._lease_ms / 3000)
            if not self._held:
                continue
            try:
                await self._local.extend(list(self._held.items()), self._lease_ms)
            except HubqueueError as error:
                log.warning("leases not extended, tried again: %s queue=%s code=%s", error, self._queue, error.code)

    async def on_disk(self, jobs: Sequence[Leased]) -> None:
        """Return once a power cut cannot make these jobs undone: only then may others hear of them.

        Errors: StoreError.
        """
        if isinstance(self._local, Syncs):
            await self._local.on_disk(max([leased.job.seq for leased in jobs]))

    async def floor(self) -> int | None:
        """The lowest seq of the queue that may still have to be sent; None when it cannot be told."""
        if time.monotonic() - self._floor_at_s >= FLOOR_EVERY_S:
            page = await self._local.list_jobs(self._queue, UNSETTLED, limit=1)
            self._floor = page.jobs[0].seq if page.jobs else None
            self._floor_at_s = time.monotonic()
        return self._floor

    async def _reclaim(self) -> None:
        """Once: take back what a killed process held, or the jobs behind it would overtake it in the hub's grace."""
        if not self._reclaimed and isinstance(self._local, Reclaims):
            count = await self._local.reclaim(self._queue, self._owner)
            if count:
                log.info("leases of an earlier run given back queue=%s count=%d", self._queue, count)
        self._reclaimed = True

    async def _settle(self, settlements: Sequence[Settlement]) -> None:
        wait_s = FIRST_RETRY_S
        while True:
            try:
                await self._local.settle(settlements)
                return
            except LEASE_GONE as error:
                if len(settlements) == 1:
                    log.warning("lease lost, the job may be sent again job=%s code=%s", settlements[0].id, error.code)
                    return
                break  # one of them is gone, the others are not
            except HubqueueError as error:
                if not error.retryable:
                    raise
                log.warning("not settled, tried again: %s queue=%s code=%s", error, self._queue, error.code)
            await asyncio.sleep(wait_s)
            wait_s = min(LONGEST_RETRY_S, wait_s * 2)
        for settlement in settlements:
            await self._settle([settlement])
