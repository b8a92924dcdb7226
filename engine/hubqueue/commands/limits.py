"""Commands that limit how fast and how wide a queue is worked on. Numbers may come as text."""

from __future__ import annotations

from typing import Any, Final

from hubqueue.commands.call import Call
from hubqueue.commands.command import ADMIN, READ, Command, command, its_queue
from hubqueue.hub.verbs import throttle
from hubqueue.model.limits import check_queue
from hubqueue.model.throttle import Rate
from hubqueue.wire.fields import Count, number
from hubqueue.wire.loose import finite, given

DEFAULT_DURATION_MS: Final = 1000


@command(ADMIN, its_queue)
class RateLimit(Command):
    """Hand out at most `limit` jobs per `duration`; with `ttl` the limit ends by itself."""

    queue: str
    limit: Any = None
    duration: Any = 1000
    ttl: Any = None

    def handle(self, call: Call) -> None:
        queue = check_queue(self.queue)
        limit = max(0, int(finite("limit", self.limit)))
        duration, ttl = _optional("duration", self.duration), _optional("ttl", self.ttl)
        rate = Rate(limit, duration or DEFAULT_DURATION_MS)
        call.run(lambda tx: throttle.set_rate(tx, queue, rate, ttl))


@command(ADMIN, its_queue)
class RateLimitClear(Command):
    """Take the rate limit of a queue away."""

    queue: str

    def handle(self, call: Call) -> None:
        queue = check_queue(self.queue)
        call.run(lambda tx: throttle.set_rate(tx, queue, None))


@command(ADMIN, its_queue)
class SetConcurrency(Command):
    """Let at most `limit` jobs of a queue be active at a time."""

    queue: str
    limit: Any = None

    def handle(self, call: Call) -> None:
        queue = check_queue(self.queue)
        limit = max(0, int(finite("limit", self.limit)))
        call.run(lambda tx: throttle.set_concurrency(tx, queue, limit))


@command(ADMIN, its_queue)
class ClearConcurrency(Command):
    """Take the concurrency limit of a queue away."""

    queue: str

    def handle(self, call: Call) -> None:
        queue = check_queue(self.queue)
        call.run(lambda tx: throttle.set_concurrency(tx, queue, None))


@command(READ, its_queue)
class GetQueueLimits(Command):
    """The limits of a queue, and whether they hold jobs back now."""

    queue: str
    max_jobs: Count | None = None

    def handle(self, call: Call) -> None:
        def verb(tx: Any) -> dict[str, Any]:
            limits = throttle.queue_limits(tx, self.queue)
            return {
                "rateLimit": _rate_now(limits.rate, tx.now_ms),
                "rateLimitTtl": number(throttle.rate_wait_ms(tx, self.queue, self.max_jobs)),
                "concurrencyLimit": None if limits.concurrency is None else number(limits.concurrency),
                "maxed": throttle.is_maxed(tx, self.queue),
            }

        call.run(verb, lambda limits: {"data": {"limits": limits}})


def _optional(field: str, value: Any) -> int | None:
    """Milliseconds; None when nothing, or nothing above 0, is given."""
    value = given(value)
    return None if value is None else max(0, int(finite(field, value))) or None


def rate_map(rate: Rate | None) -> dict[str, Any] | None:
    """A rate as the protocol shows it."""
    return None if rate is None else {"max": number(rate.max), "duration": number(rate.duration_ms)}


def _rate_now(rate: Rate | None, now_ms: int) -> dict[str, Any] | None:
    """With what is left of its ttl, if it has one."""
    shown = rate_map(rate)
    if shown is None or rate is None or rate.until_ms is None:
        return shown
    return shown | {"ttl": number(rate.until_ms - now_ms)}
