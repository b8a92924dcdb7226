"""Commands that look at the hub as a whole, now and lately."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from hubqueue.commands.call import Call
from hubqueue.commands.command import FILTERED, READ, Command, command, queue_or_all
from hubqueue.commands.operator import Forwarders, Rules
from hubqueue.hub.verbs import overview
from hubqueue.wire.fields import WHOLE, number

QueueLimit = Annotated[int, Meta(ge=1, le=10_000, extra=WHOLE)]
RATES: Final = ("enqueued", "leased", "completed", "failed")  # per second


@command(READ, FILTERED)
class Overview(Command):
    """The hub and its queues at this moment."""

    limit: QueueLimit = 1000

    async def handle(self, call: Call) -> dict[str, Any]:
        context = call.session.context
        hub, whole = context.hub, call.sees(None)
        survey = overview.Survey(hub.history, call.sees, self.limit)
        while await hub.run(survey.step):
            pass
        now = survey.found()
        per_s = hub.metrics.rates(hub.now_ms())
        return {
            "queues": [_queue(each) for each in now.queues],
            "queueCount": now.queue_count,
            "totals": now.totals,
            "rates": dict(zip(RATES, per_s, strict=True)) if whole else None,
            "storage": {
                "usedBytes": number(hub.used_bytes),
                "walBytes": number(hub.log_bytes),
                "freeBytes": number(hub.free_bytes),
                "diskFull": hub.disk_full,
            },
            "hub": {
                "hubId": hub.hub_id,
                "version": context.version,
                "uptimeMs": float(context.uptime_ms()),
                "startedAt": float(context.started_ms),
            },
            "mqtt": _mqtt(await context.lent(Rules())) if whole else None,
            "forwarders": [
                each for each in (await context.lent(Forwarders())).get("forwarders", ()) if call.sees(each["queue"])
            ],
        }


@command(READ, queue_or_all)
class History(Command):
    """How the hub, or one queue, has done lately."""

    queue: str | None = None
    span: Literal["15m", "1h", "6h", "24h"] = "15m"

    def handle(self, call: Call) -> None:
        past = call.session.context.hub.history.past(self.span, self.queue)
        series = msgspec.to_builtins(past)
        call.answer({"times": series.pop("times"), "series": series})


def _queue(found: overview.QueueNow) -> dict[str, Any]:
    enqueued, completed, failed = found.per_minute or (None, None, None)
    return {
        "name": found.name,
        "paused": found.paused,
        **msgspec.to_builtins(found.standing),
        "oldestMs": None if found.oldest_ms is None else number(found.oldest_ms),
        "enqueuedPerMinute": enqueued,
        "completedPerMinute": completed,
        "failedPerMinute": failed,
    }


def _mqtt(rules: dict[str, Any]) -> dict[str, Any] | None:
    """How the broker's links are, of what the process says about its rules."""
    broker = rules.get("broker")
    if broker is None:
        return None
    return {"broker": broker["url"], "links": broker["links"], "dropped": broker["counts"].get("dropped", 0)}
