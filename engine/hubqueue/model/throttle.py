"""Limits of how fast and how wide a queue or a group is worked on. Pure; what runs in them lives in memory.

A queue's rate is a token bucket (burst, then even refill); a group's rate is a fixed window that its first job
starts. Settings are stored, tokens and running windows are not.
"""

from __future__ import annotations

import math
from typing import Final

import msgspec


class Rate(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """At most `max` jobs per `duration_ms`; until_ms: the limit ends by itself (Unix milliseconds)."""

    max: int
    duration_ms: int = 1000
    until_ms: int | None = None

    def over(self, now_ms: int) -> bool:
        """Whether the limit has ended by itself."""
        return self.until_ms is not None and self.until_ms <= now_ms


class QueueLimits(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Limits of one queue; None means unlimited, 0 blocks it."""

    rate: Rate | None = None
    concurrency: int | None = None


class GroupLimits(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """Limits of one group, stored for it or carried by a lease as the default."""

    rate: Rate | None = None
    concurrency: int | None = None


class Pull(msgspec.Struct, frozen=True, gc=False):
    """What a lease says about groups: default limits, and one group only (None: all of them).

    plain_only: only jobs without a group. A stored limit of a group counts only for leases that carry that default.
    """

    concurrency: int | None = None
    rate: Rate | None = None
    group: str | None = None
    plain_only: bool = False


ANY: Final = Pull()


class Bucket:
    """The tokens of a rate. Units: milliseconds of hub time."""

    __slots__ = ("_at_ms", "_rate", "tokens")

    def __init__(self, rate: Rate, now_ms: int) -> None:
        self._rate = rate
        self._at_ms = now_ms
        self.tokens = float(rate.max)

    def available(self, now_ms: int) -> int:
        """Whole tokens there are now."""
        rate = self._rate
        passed = max(0, now_ms - self._at_ms)
        self.tokens = min(float(rate.max), self.tokens + passed * rate.max / rate.duration_ms)
        self._at_ms = now_ms
        return math.floor(self.tokens + 1e-9)

    def take(self, count: int) -> None:
        self.tokens -= count

    def wait_ms(self, tokens: int = 1) -> int | None:
        """Milliseconds until there are so many tokens, as of the last look; None: never."""
        missing = tokens - self.tokens
        if missing <= 1e-9:
            return 0
        if tokens > self._rate.max:
            return None
        return max(1, math.ceil(missing * self._rate.duration_ms / self._rate.max))


class Window:
    """A group's running window: the jobs handed out since it began; and how long the group is blocked by hand."""

    __slots__ = ("blocked_until_ms", "count", "ends_ms", "start_ms")

    def __init__(self, start_ms: int) -> None:
        self.start_ms = start_ms
        self.ends_ms = 0  # by the rate it was last looked at with
        self.count = 0
        self.blocked_until_ms = 0

    def open_at_ms(self, rate: Rate | None, now_ms: int) -> int:
        """When the next job may be handed out; at most now_ms means at once. A window that is over starts anew."""
        if now_ms < self.blocked_until_ms:
            return self.blocked_until_ms
        if rate is None:
            return now_ms
        if now_ms >= self.start_ms + rate.duration_ms:
            self.start_ms, self.count = now_ms, 0
        self.ends_ms = self.start_ms + rate.duration_ms
        return now_ms if self.count < rate.max else self.ends_ms

    def over(self, now_ms: int) -> bool:
        """Whether neither a window nor a block is running."""
        return now_ms >= self.ends_ms and now_ms >= self.blocked_until_ms
