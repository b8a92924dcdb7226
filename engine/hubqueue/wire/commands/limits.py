"""Commands that limit how fast and how wide a queue is worked on. Numbers may come as text."""

from __future__ import annotations

from typing import Any

from hubqueue.wire.commands.base import Command
from hubqueue.wire.fields import Count


class RateLimit(Command, tag="RateLimit", gc=False, kw_only=True):
    """Hand out at most `limit` jobs per `duration`; with `ttl` the limit ends by itself."""

    queue: str
    limit: Any = None
    duration: Any = 1000
    ttl: Any = None


class RateLimitClear(Command, tag="RateLimitClear", gc=False, kw_only=True):
    """Take the rate limit of a queue away."""

    queue: str


class SetConcurrency(Command, tag="SetConcurrency", gc=False, kw_only=True):
    """Let at most `limit` jobs of a queue be active at a time."""

    queue: str
    limit: Any = None


class ClearConcurrency(Command, tag="ClearConcurrency", gc=False, kw_only=True):
    """Take the concurrency limit of a queue away."""

    queue: str


class GetQueueLimits(Command, tag="GetQueueLimits", gc=False, kw_only=True):
    """The limits of a queue, and whether they hold jobs back now."""

    queue: str
    max_jobs: Count | None = None
