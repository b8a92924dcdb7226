"""Settles the runs of a worker: whatever has ended meanwhile goes into one settle, and a settle is never given up
while its leases may still be good.
"""

from __future__ import annotations

import asyncio
import logging
import random
from typing import Final

from hubqueue.errors import HubqueueError, LockLost, LockRequired, NotFound, WrongState
from hubqueue.model.limits import MAX_LEASE_BATCH
from hubqueue.model.outcome import Outcome, Reject, Settlement
from hubqueue.model.verbs import Verbs

FIRST_RETRY_S: Final = 0.1
LONGEST_RETRY_S: Final = 5.0
LEASE_GONE: Final = (LockLost, LockRequired, NotFound, WrongState)

log = logging.getLogger(__name__)


class Settler:
    """One settle at a time is under way; what comes meanwhile is collected for the next."""

    def __init__(self, verbs: Verbs) -> None:
        self._verbs = verbs
        self._collected: list[tuple[Settlement, asyncio.Future[Outcome | None]]] = []
        self._pump: asyncio.Task[None] | None = None

    async def settle(self, settlement: Settlement) -> Outcome | None:
        """Store how a run ended. The outcome stored; None when the lease was gone."""
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
                for (_, told), outcome in zip(
                    batch, await self._store([settlement for settlement, _ in batch]), strict=True
                ):
                    if not told.done():
                        told.set_result(outcome)
        finally:
            self._pump = None

    async def _store(self, settlements: list[Settlement]) -> list[Outcome | None]:
        wait_s = FIRST_RETRY_S
        while True:
            try:
                await self._verbs.settle(settlements)
                return [settlement.outcome for settlement in settlements]
            except HubqueueError as error:
                if not error.retryable:
                    return await self._sort_out(settlements, error)
                log.warning("not settled, tried again count=%d code=%s", len(settlements), error.code)
            await asyncio.sleep(wait_s * random.uniform(0.5, 1.0))
            wait_s = min(LONGEST_RETRY_S, wait_s * 2)

    async def _sort_out(self, settlements: list[Settlement], error: HubqueueError) -> list[Outcome | None]:
        """One of them is refused: find out which, and keep it from holding up the others."""
        if len(settlements) > 1:
            return [outcome for one in settlements for outcome in await self._store([one])]
        (settlement,) = settlements
        if isinstance(error, LEASE_GONE):
            log.warning("lease lost before its run was settled job=%s code=%s", settlement.id, error.code)
            return [None]
        log.warning("outcome refused, the job is rejected job=%s code=%s: %s", settlement.id, error.code, error)
        if isinstance(settlement.outcome, Reject):
            return [None]
        return await self._store([Settlement(settlement.id, settlement.token, Reject(error.message))])
