"""The leases of a pipeline: kept alive while a batch is worked on, and ended."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Final, Protocol, runtime_checkable

from hubqueue.errors import HubqueueError
from hubqueue.model.job import Leased
from hubqueue.model.outcome import Release, Settlement
from hubqueue.model.verbs import Verbs

LEASE_MS: Final = 60_000

log = logging.getLogger(__name__)


@runtime_checkable
class Reclaims(Protocol):
    """A hub in this process: nobody else can hold what this pipeline leased before a restart."""

    async def reclaim(self, queue: str, owner: str) -> int: ...


class Keeper:
    """What one pipeline has leased of its queue."""

    def __init__(self, hub: Verbs, queue: str, pipeline: str) -> None:
        self._hub = hub
        self._queue = queue
        self._owner = owner_of(pipeline)
        self._held: dict[str, str] = {}  # job id -> token

    @property
    def count(self) -> int:
        """Jobs held now."""
        return len(self._held)

    async def take(self, count: int, wait_ms: int) -> list[Leased]:
        """Up to `count` jobs in the queue's order; waits up to wait_ms until there is one."""
        jobs = await self._hub.lease(self._queue, count, owner=self._owner, lease_ms=LEASE_MS, wait_ms=wait_ms)
        self._held = {leased.job.id: leased.token for leased in jobs}
        return jobs

    def settled(self, ends: Sequence[Settlement]) -> None:
        """These are held no more."""
        for end in ends:
            self._held.pop(end.id, None)

    async def release(self, jobs: Sequence[Leased]) -> None:
        """Give jobs back in their place, nothing is counted; what is not to be given back any more is not ours."""
        ends = [Settlement(leased.job.id, leased.token, Release()) for leased in jobs]
        self.settled(ends)
        try:
            await self._hub.settle(ends)
        except HubqueueError:
            for end in ends:
                try:
                    await self._hub.settle([end])
                except HubqueueError as error:  # then the end of its lease gives it back
                    log.info("job of a pipeline not given back job=%s code=%s", end.id, error.code)

    async def renew(self) -> None:
        """Extend what is held, until cancelled: a batch may wait long for its look-ups."""
        while True:
            await asyncio.sleep(LEASE_MS / 3000)
            if not self._held:
                continue
            try:
                await self._hub.extend(list(self._held.items()), LEASE_MS)
            except HubqueueError as error:
                log.warning("leases not extended, tried again: %s queue=%s code=%s", error, self._queue, error.code)


def owner_of(pipeline: str) -> str:
    """Of the leases of this pipeline, the same in every life of the hub."""
    return f"pipeline:{pipeline}"
