"""Commands that look at the hub as a whole, now and lately."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from hubqueue.commands.call import Call
from hubqueue.commands.command import FILTERED, READ, Command, command, queue_or_all
from hubqueue.commands.operator import BrokerLink, Forwarders, ForwarderStanding, Rules
from hubqueue.hub.verbs import overview
from hubqueue.wire.fields import WHOLE, number

QueueLimit = Annotated[int, Meta(ge=1, le=10_000, extra=WHOLE)]
RATES: Final = ("enqueued", "leased", "completed", "failed")  # per second


class Totals(overview.Standing, frozen=True, gc=False, rename="camel"):
    """Jobs by state."""


class QueueStanding(Totals, frozen=True, rename="camel", kw_only=True):
    """A queue: its jobs by state, the age of the oldest that waits, what happens in a minute where that is known."""

    name: str
    paused: bool
    oldest_ms: float | None
    enqueued_per_minute: float | None
    completed_per_minute: float | None
    failed_per_minute: float | None


class Rates(msgspec.Struct, kw_only=True):
    """Jobs a second."""

    enqueued: float
    leased: float
    completed: float
    failed: float


class Storage(msgspec.Struct, rename="camel", kw_only=True):
    """The job file, its log, and what is free beside them."""

    used_bytes: float
    wal_bytes: float
    free_bytes: float
    disk_full: bool


class HubFacts(msgspec.Struct, rename="camel", kw_only=True):
    """Which hub, and since when it runs."""

    hub_id: str
    version: str
    uptime_ms: float
    started_at: float


class MqttStanding(msgspec.Struct, kw_only=True):
    """The links to the broker, and how many messages were dropped."""

    broker: str
    links: list[BrokerLink]
    dropped: int


class OverviewReply(msgspec.Struct, rename="camel", kw_only=True):
    """The hub and its queues at this moment. rates and mqtt: for those who may see every queue."""

    queues: list[QueueStanding]
    queue_count: int
    totals: Totals
    rates: Rates | None
    storage: Storage
    hub: HubFacts
    mqtt: MqttStanding | None
    forwarders: list[ForwarderStanding]


class HistoryReply(msgspec.Struct, kw_only=True):
    """Figures over time: lists as long as `times` (Unix seconds), null where nothing is known."""

    times: list[float]
    series: dict[str, list[float | None]]


@command(READ, FILTERED, answers=OverviewReply)
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


@command(READ, queue_or_all, answers=HistoryReply)
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
