"""The configured size of the database: beyond it new jobs are refused, or the oldest jobs dropped to make room.

What counts are pages in use plus the log, looked at once per group that takes new jobs, and by maintenance. Finished
jobs go first; active ones are never dropped. Whatever is dropped is counted and evented as evicted.
"""

from __future__ import annotations

from typing import Final

from hubqueue.hub.settings import HubSettings
from hubqueue.hub.verbs.enqueue import evict
from hubqueue.model.state import State
from hubqueue.store import lists
from hubqueue.store.queues import QueueRow
from hubqueue.store.slices import BATCH_BYTES, SLICE, SLICE_BYTES
from hubqueue.store.store import Store
from hubqueue.store.tx import Tx

LEAST: Final = 50  # rows dropped at once: pages are given back by neighbours
FINISHED: Final = (State.COMPLETED,)
ANY: Final = (State.COMPLETED, State.FAILED, State.WAITING, State.DELAYED)


class SizeQuota:
    """`over` says whether the file is too large; `hold` and `make_room` drop what may be dropped."""

    def __init__(self, store: Store, settings: HubSettings) -> None:
        self._store = store
        self._max_bytes = settings.max_bytes
        self._dropping = settings.on_full == "drop-oldest"
        self._over = False
        self._looked_at = -1  # the group in which `_over` was found

    def over(self) -> bool:
        if self._max_bytes is None:
            return False
        if self._looked_at != self._store.groups:
            self._over = self._store.used_bytes() > self._max_bytes
            self._looked_at = self._store.groups
        return self._over

    def refuses(self) -> bool:
        """Whether new jobs must be refused for the size of the file."""
        return self.over() and not (self._dropping and self._largest(ANY))

    def make_room(self, tx: Tx, wanted: int) -> None:
        """Before `wanted` jobs are stored: drop twice as many while the file is too large, if so configured."""
        if self._dropping and self.over():
            self._drop(tx, ANY, max(LEAST, 2 * wanted), BATCH_BYTES)

    async def hold(self) -> bool:
        """Maintenance: drop until the file is small enough or nothing may go; whether it is still too large."""
        states = ANY if self._dropping else FINISHED
        dropped = 1
        while dropped and self.over():
            dropped = await self._store.run_freeing(lambda tx: self._drop(tx, states, SLICE, SLICE_BYTES))
        return self.over()

    def _drop(self, tx: Tx, states: tuple[State, ...], count: int, most_bytes: int) -> int:
        """The oldest jobs of the first of these states that has any; how many."""
        largest = self._largest(states)
        if largest is None:
            return 0
        row, state = largest
        oldest = lists.heads(tx, row.id, state, count, most_bytes)
        evict(tx, row, state, oldest)
        self._looked_at = -1
        return len(oldest)

    def _largest(self, states: tuple[State, ...]) -> tuple[QueueRow, State] | None:
        """The queue that has most jobs of the first of these states that has any."""
        for state in states:
            row = max(self._store.queues.by_id.values(), key=lambda row: row.n[state], default=None)
            if row is not None and row.n[state]:
                return row, state
        return None
