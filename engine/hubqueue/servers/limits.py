"""Handlers of the limits of whole queues."""

from __future__ import annotations

from typing import Any, Final

from hubqueue.hub.verbs import throttle
from hubqueue.model.limits import check_queue
from hubqueue.model.throttle import Rate
from hubqueue.servers.door import Call, Handlers
from hubqueue.wire.commands import limits as wire
from hubqueue.wire.fields import number
from hubqueue.wire.loose import finite, given

DEFAULT_DURATION_MS: Final = 1000


def rate_limit(call: Call, command: wire.RateLimit) -> None:
    queue = check_queue(command.queue)
    limit = max(0, int(finite("limit", command.limit)))
    duration, ttl = _optional("duration", command.duration), _optional("ttl", command.ttl)
    rate = Rate(limit, duration or DEFAULT_DURATION_MS)
    call.run(lambda tx: throttle.set_rate(tx, queue, rate, ttl))


def _optional(field: str, value: Any) -> int | None:
    """Milliseconds; None when nothing, or nothing above 0, is given."""
    value = given(value)
    return None if value is None else max(0, int(finite(field, value))) or None


def rate_limit_clear(call: Call, command: wire.RateLimitClear) -> None:
    queue = check_queue(command.queue)
    call.run(lambda tx: throttle.set_rate(tx, queue, None))


def set_concurrency(call: Call, command: wire.SetConcurrency) -> None:
    queue = check_queue(command.queue)
    limit = max(0, int(finite("limit", command.limit)))
    call.run(lambda tx: throttle.set_concurrency(tx, queue, limit))


def clear_concurrency(call: Call, command: wire.ClearConcurrency) -> None:
    queue = check_queue(command.queue)
    call.run(lambda tx: throttle.set_concurrency(tx, queue, None))


def get_queue_limits(call: Call, command: wire.GetQueueLimits) -> None:
    def verb(tx: Any) -> dict[str, Any]:
        limits = throttle.queue_limits(tx, command.queue)
        return {
            "rateLimit": _rate_now(limits.rate, tx.now_ms),
            "rateLimitTtl": number(throttle.rate_wait_ms(tx, command.queue, command.max_jobs)),
            "concurrencyLimit": None if limits.concurrency is None else number(limits.concurrency),
            "maxed": throttle.is_maxed(tx, command.queue),
        }

    call.run(verb, lambda limits: {"data": {"limits": limits}})


def rate_map(rate: Rate | None) -> dict[str, Any] | None:
    """A rate as the protocol shows it."""
    return None if rate is None else {"max": number(rate.max), "duration": number(rate.duration_ms)}


def _rate_now(rate: Rate | None, now_ms: int) -> dict[str, Any] | None:
    """With what is left of its ttl, if it has one."""
    shown = rate_map(rate)
    if shown is None or rate is None or rate.until_ms is None:
        return shown
    return shown | {"ttl": number(rate.until_ms - now_ms)}


HANDLERS: Final[Handlers] = {
    wire.RateLimit: rate_limit,
    wire.RateLimitClear: rate_limit_clear,
    wire.SetConcurrency: set_concurrency,
    wire.ClearConcurrency: clear_concurrency,
    wire.GetQueueLimits: get_queue_limits,
}
