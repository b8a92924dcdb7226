"""Handlers of recurring jobs."""

from __future__ import annotations

from typing import Any, Final

from hubqueue.errors import Invalid
from hubqueue.hub.verbs import schedule
from hubqueue.model.verbs import Schedule
from hubqueue.servers.door import Call, Handlers
from hubqueue.wire.commands import schedules as wire
from hubqueue.wire.fields import value_bytes
from hubqueue.wire.jobin import take_name


def cron(call: Call, command: wire.Cron) -> None:
    if command.schedule is None and not command.repeat_every:
        raise Invalid("Cron job must have either schedule or repeatEvery")
    data = value_bytes(command.data)
    name = command.job_name
    if name is None:
        name, data = take_name(data)
    wanted = Schedule(
        key=command.name,
        queue=command.queue,
        name=name,
        data=data,
        priority=command.priority,
        every_ms=command.repeat_every or None,
        cron=command.schedule,
        timezone=command.timezone,
        limit=command.max_limit or None,
    )
    schedule.check(wanted)

    def verb(tx: Any) -> dict[str, Any]:
        schedule.upsert(tx, wanted)
        return {"cron": _shown(wanted, tx.now_ms)}

    call.run(verb, lambda reply: reply)


def _shown(wanted: Schedule, now_ms: int) -> dict[str, Any]:
    return {
        "name": wanted.key,
        "jobName": wanted.name,
        "queue": wanted.queue,
        "schedule": wanted.cron,
        "repeatEvery": wanted.every_ms,
        "nextRun": float(now_ms + (wanted.every_ms or 0)),
        "executions": wanted.runs,
        "maxLimit": wanted.limit,
        "timezone": wanted.timezone,
        "priority": wanted.priority,
    }


def cron_delete(call: Call, command: wire.CronDelete) -> None:
    call.run(lambda tx: schedule.delete(tx, command.name))


HANDLERS: Final[Handlers] = {wire.Cron: cron, wire.CronDelete: cron_delete}
