"""Settles the runs of a worker: whatever has ended meanwhile goes into one settle."""

from __future__ import annotations

import asyncio

from hubqueue.hub.leasekeeper import LeaseKeeper
from hubqueue.model.limits import MAX_LEASE_BATCH
from hubqueue.model.outcome import Outcome, Settlement


class Settler:
    """One settle at a time is under way; what comes meanwhile is collected for the next."""

    def __init__(self, keeper: LeaseKeeper) -> None:
        self._keeper = keeper
        self._collected: list[tuple[Settlement, asyncio.Future[Outcome | None]]] = []
        self._pump: asyncio.Task[None] | None = None

    async def settle(self, settlement: Settlement) -> Outcome | None:
        """As `LeaseKeeper.settle`, of one run."""
        told: asyncio.Future[Outcome | None] = asyncio.get_running_loop().create_future()
        self._collected.append((settlement, told))
        if self._pump is None:
            self._pump = asyncio.create_task(self._work())
        return await told

    async def close(self) -> None:
        """Stop asking; what is not stored is left to the hub, which gives the jobs back."""
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.wait([self._pump])

    async def _work(self) -> None:
        try:
            while self._collected:
                batch = self._collected[:MAX_LEASE_BATCH]
                del self._collected[:MAX_LEASE_BATCH]
                try:
                    stored = await self._keeper.settle([settlement for settlement, _ in batch])
                except Exception as error:  # a defect, too, is told: nobody is to wait for ever
                    for _, told in batch:
                        if not told.done():
                            told.set_exception(error)
                    continue
                for (_, told), outcome in zip(batch, stored, strict=True):
                    if not told.done():
                        told.set_result(outcome)
        finally:
            self._pump = None
