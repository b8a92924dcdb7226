"""How far a queue is behind: what waits to be forwarded, and since when."""

from __future__ import annotations

import msgspec

from hubqueue.model.state import State
from hubqueue.model.verbs import Verbs


class Backlog(msgspec.Struct, frozen=True):
    """Units: jobs; oldest_at_ms Unix milliseconds at which the oldest waiting job was made."""

    waiting: int
    delayed: int
    oldest_at_ms: int | None


async def backlog(local: Verbs, queue: str) -> Backlog:
    """What the queue holds now."""
    counts = await local.counts(queue)
    oldest = await local.list_jobs(queue, (State.WAITING,), limit=1)
    waiting = counts.waiting + counts.prioritized + counts.paused
    return Backlog(waiting, counts.delayed, oldest.jobs[0].created_at_ms if oldest.jobs else None)
