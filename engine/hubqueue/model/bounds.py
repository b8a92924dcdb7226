"""How much of a queue is kept. Beyond a bound jobs are refused or the oldest are dropped, counted and evented."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

DAY_MS: Final = 86_400_000


class QueueBounds(msgspec.Struct, frozen=True, gc=False, kw_only=True):
    """Bounds of one queue; None means no bound.

    Units: *_ms milliseconds; the others jobs. max_jobs counts waiting and delayed jobs.
    durable: every job of the queue is, as if it had asked for it.
    count_lost: whether leases that ran out or whose connection broke count towards the dead-letter queue.
    """

    max_jobs: int | None = None
    on_full: Literal["reject", "drop-oldest"] = "reject"
    keep_completed: int = 50_000
    keep_completed_ms: int | None = DAY_MS
    max_dead: int = 10_000
    keep_dead_ms: int | None = None
    max_stalls: int = 3
    durable: bool = False
    count_lost: bool = True


DEFAULT_BOUNDS: Final = QueueBounds()
