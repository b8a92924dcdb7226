"""Handlers that look into the backlog and back in time: for pages and lists."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from hubqueue.errors import Invalid
from hubqueue.hub.verbs import explore, overview
from hubqueue.servers.door import Call, Handlers
from hubqueue.wire.commands import explore as wire
from hubqueue.wire.commands import operate
from hubqueue.wire.fields import number
from hubqueue.wire.jobmap import queried_job

MAX_CURSOR_DIGITS: Final = 16
RATES: Final = ("enqueued", "leased", "completed", "failed")  # per second


def find_jobs(call: Call, command: wire.FindJobs) -> None:
    after = None if command.cursor is None else _position(command.cursor)

    def verb(tx: Any) -> explore.Found:
        return explore.find(
            tx,
            command.queue,
            command.states or (),
            name=command.name,
            text=command.text,
            reason=command.reason,
            limit=command.limit,
            after=after,
            ascending=command.ascending,
            sees=call.sees,
        )

    call.run(verb, _page)


def _page(found: explore.Found) -> dict[str, Any]:
    shown = []
    for job, word in found.jobs:
        shown.append(queried_job(job))
        shown[-1].state = word
    cursor = None if found.cursor is None else str(found.cursor)
    return {"jobs": shown, "cursor": cursor, "scanned": found.looked_at}


def _position(cursor: str) -> int:
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= MAX_CURSOR_DIGITS):
        raise Invalid("cursor is not one of a page", hint="send the cursor of the page before, or none")
    return int(cursor)


async def dead_reasons(call: Call, command: wire.DeadReasons) -> dict[str, Any]:
    groups = explore.Reasons(command.queue, call.sees)
    while await call.session.door.hub.run(groups.step):
        pass
    shown = [
        {
            "queue": group.queue,
            "reason": group.reason,
            "error": group.error,
            "pattern": group.pattern,
            "count": group.count,
            "newestAt": float(group.newest_ms),
            "oldestAt": float(group.oldest_ms),
            "sampleId": group.sample_id,
        }
        for group in groups.largest_first()
    ]
    return {"reasons": shown, "counted": groups.counted, "total": number(groups.total)}


async def show_overview(call: Call, command: wire.Overview) -> dict[str, Any]:
    door = call.session.door
    hub, whole = door.hub, call.sees(None)
    survey = overview.Survey(hub.history, call.sees, command.limit)
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
            "version": door.version,
            "uptimeMs": float(door.uptime_ms()),
            "startedAt": float(door.started_ms),
        },
        "mqtt": _mqtt(await door.lent(operate.Rules())) if whole else None,
        "forwarders": [
            each for each in (await door.lent(operate.Forwarders())).get("forwarders", ()) if call.sees(each["queue"])
        ],
    }


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


def show_history(call: Call, command: wire.History) -> None:
    past = call.session.door.hub.history.past(command.span, command.queue)
    series = msgspec.to_builtins(past)
    call.answer({"times": series.pop("times"), "series": series})


HANDLERS: Final[Handlers] = {
    wire.FindJobs: find_jobs,
    wire.DeadReasons: dead_reasons,
    wire.Overview: show_overview,
    wire.History: show_history,
}
