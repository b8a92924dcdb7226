"""What a forwarder has to know of its own hub before jobs leave it: that they are on the disk, and the floor: below it
nothing has to be sent any more.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol, runtime_checkable

from hubqueue.model.job import Leased
from hubqueue.model.state import State
from hubqueue.model.verbs import Verbs
from hubqueue.system import System

# A dead job may be retried and sent for the first time, so it is unsettled as well.
UNSETTLED: Final = (State.WAITING, State.DELAYED, State.ACTIVE, State.WAITING_CHILDREN, State.FAILED)
FLOOR_EVERY_S: Final = 1.0  # an old floor is a low floor, which is safe; a query for each batch is not free


@runtime_checkable
class Syncs(Protocol):
    """A hub in this process: it knows what of it is on the disk."""

    async def on_disk(self, seq: int) -> None: ...


class Horizon:
    """Of one queue."""

    def __init__(self, local: Verbs, queue: str, system: System) -> None:
        self._local = local
        self._mono_s = system.mono_s
        self._queue = queue
        self._floor: int | None = None
        self._floor_at_s = -FLOOR_EVERY_S

    async def on_disk(self, jobs: Sequence[Leased]) -> None:
        """Return once a power cut cannot make these jobs undone: only then may others hear of them.

        Errors: StoreError.
        """
        if isinstance(self._local, Syncs):
            await self._local.on_disk(max([leased.job.seq for leased in jobs]))

    async def floor(self) -> int | None:
        """The lowest seq of the queue that may still have to be sent; None when it cannot be told."""
        if self._mono_s() - self._floor_at_s >= FLOOR_EVERY_S:
            page = await self._local.list_jobs(self._queue, UNSETTLED, limit=1)
            self._floor = page.jobs[0].seq if page.jobs else None
            self._floor_at_s = self._mono_s()
        return self._floor
