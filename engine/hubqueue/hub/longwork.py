"""Long work on whole queues: a slice in each transaction, other verbs run between.

The count of an answer is the sum of all slices; an error in the middle says how far it came, and what was done stays.
What frees space gets what is kept back for a full disk.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

from hubqueue.errors import HubqueueError
from hubqueue.hub.settings import HubSettings
from hubqueue.hub.verbs import change, queues
from hubqueue.model.state import State
from hubqueue.model.verbs import Retried
from hubqueue.store.slices import SLICE
from hubqueue.store.store import Store
from hubqueue.store.tx import Tx

R = TypeVar("R")


class LongWork:
    """See `client.hubclient` for what each verb does."""

    def __init__(self, store: Store, settings: HubSettings) -> None:
        self._store = store
        self._durable = settings.durable

    async def retry_all(
        self, queue: str, state: State, *, limit: int | None = None, before_ms: int | None = None
    ) -> Retried:
        """Retry completed or dead jobs, oldest first. limit: how many are looked at."""
        started_ms = self._store.clock.now_ms() if before_ms is None else before_ms
        done = Retried()
        last: int | None = -1
        while last is not None and (limit is None or done.total < limit):
            size = SLICE if limit is None else min(SLICE, limit - done.total)
            verb = partial(
                change.retry_some, queue=queue, state=state, after_seq=last, limit=size, before_ms=started_ms
            )
            some, last = await _told_how_far(self._run(verb), done.again)
            done += some
        return done

    async def promote_all(self, queue: str, *, limit: int | None = None) -> int:
        """Let the oldest delayed jobs of a queue wait at once; how many.

        Each once: one that fails meanwhile and is delayed again does not keep those behind it from their turn.
        """
        row = self._store.queues.find(queue)
        there = 0 if row is None else row.n[State.DELAYED]
        wanted = there if limit is None else min(there, limit)
        done, last = 0, -1
        while done < wanted:
            size = min(SLICE, wanted - done)
            verb = partial(change.promote_some, queue=queue, limit=size, after=last)
            count, last = await _told_how_far(self._run(verb), done)
            if not count:
                break
            done += count
        return done

    async def purge(self, queue: str) -> int:
        return await self._remove_all(queue, (State.FAILED,))

    async def clean(self, queue: str, grace_ms: int, limit: int, state: State) -> list[str]:
        before_ms = self._store.clock.now_ms() - max(0, grace_ms)
        removed: list[str] = []
        last: int | None = -1
        while last is not None and len(removed) < limit:
            size = min(SLICE, limit - len(removed))
            verb = partial(
                queues.clean_slice, queue=queue, state=state, before_ms=before_ms, after_seq=last, limit=size
            )
            some, last = await _told_how_far(self._run_freeing(verb), len(removed))
            removed += some
        return removed

    async def drain(self, queue: str) -> int:
        return await self._remove_all(queue, (State.WAITING, State.DELAYED))

    def _run(self, verb: Callable[[Tx], R]) -> Awaitable[R]:
        return self._store.run(verb, durable=self._durable)

    def _run_freeing(self, verb: Callable[[Tx], R]) -> Awaitable[R]:
        return self._store.run_freeing(verb, durable=self._durable)

    async def _remove_all(self, queue: str, states: Sequence[State]) -> int:
        removed = 0
        for state in states:
            row = self._store.queues.find(queue)
            left = 0 if row is None else row.n[state]  # not what comes in meanwhile
            while left > 0:
                size = min(SLICE, left)
                verb = partial(queues.remove_slice, queue=queue, state=state, limit=size)
                count = await _told_how_far(self._run_freeing(verb), removed)
                if not count:
                    break
                removed += count
                left -= count
        return removed


async def _told_how_far(step: Awaitable[R], done: int) -> R:
    """A step of long work that has done so many jobs before: an error that ends it says so."""
    try:
        return await step
    except HubqueueError as error:
        if not done:
            raise
        before = f"{done:,} {'job was' if done == 1 else 'jobs were'} done before, and stay so"
        raise type(error)(f"{error.message.rstrip('.')}; {before}", hint=error.hint) from error
