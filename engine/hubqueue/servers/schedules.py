"""Handlers of recurring jobs."""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec import Raw

from hubqueue.hub.verbs import schedule
from hubqueue.model.job import attempts_of
from hubqueue.model.schedule import Schedule
from hubqueue.servers.door import Call, Handlers
from hubqueue.wire.commands import schedules as wire
from hubqueue.wire.fields import number, value_bytes
from hubqueue.wire.jobin import JobFields, options_of, take_name
from hubqueue.wire.joboptions import run_options


def cron(call: Call, command: wire.Cron) -> None:
    data = value_bytes(command.data)
    name = command.job_name
    if name is None:
        name, data = take_name(data)
    job = command.job_options or JobFields()
    job = msgspec.structs.replace(job, unique_key=command.unique_key, dedup=command.dedup, repeat=None)
    options = options_of(job)
    wanted = call.session.door.hub.placed(
        Schedule(
            key=command.name,
            queue=command.queue,
            name=name,
            data=data,
            priority=command.priority,
            every_ms=command.repeat_every if command.schedule is None else None,
            cron=command.schedule,
            timezone=command.timezone or None,
            limit=command.max_limit if command.max_limit is not None and command.max_limit > 0 else None,
            immediately=bool(command.immediately),
            overlap=command.prevent_overlap is False,
            skip_missed=command.skip_missed_on_restart is not False,
            worker_only=bool(command.skip_if_no_worker),
            max_attempts=attempts_of(job.max_attempts, options),
            delay_ms=job.delay,
            options=options,
        )
    )
    afresh = command.prevent_overlap is True
    call.run(lambda tx: schedule.upsert(tx, wanted, afresh=afresh), _cron)


def cron_get(call: Call, command: wire.CronGet) -> None:
    call.run(lambda tx: schedule.get(tx, command.name), lambda found: {"cron": _whole(found)})


def cron_list(call: Call, command: wire.CronList) -> None:
    call.run(schedule.every, lambda found: {"crons": [shown_schedule(each) for each in found if call.sees(each.queue)]})


def cron_run(call: Call, command: wire.CronRun) -> None:
    call.run(lambda tx: schedule.run_now(tx, command.name), lambda id: {"id": id})


def cron_delete(call: Call, command: wire.CronDelete) -> None:
    call.run(lambda tx: schedule.delete(tx, command.name))


def _cron(found: Schedule) -> dict[str, Any]:
    return {"cron": shown_schedule(found)}


def shown_schedule(found: Schedule) -> dict[str, Any]:
    """A schedule as the protocol shows it."""
    return {
        "name": found.key,
        "jobName": found.name,
        "queue": found.queue,
        "schedule": found.cron,
        "repeatEvery": None if found.every_ms is None else float(found.every_ms),
        "nextRun": None if found.next_run_at_ms is None else float(found.next_run_at_ms),
        "executions": number(found.runs),
        "maxLimit": None if found.limit is None else number(found.limit),
        "timezone": found.timezone,
        "priority": found.priority,
        "zone": found.zone,
        "maxAttempts": found.max_attempts,
        "preventOverlap": not found.overlap,
        "skipMissedOnRestart": found.skip_missed,
        "skipIfNoWorker": found.worker_only,
    }


def _whole(found: Schedule) -> dict[str, Any]:
    """A schedule with everything that would be needed to put it again."""
    shown = shown_schedule(found) | run_options(found)
    return shown if found.data is None else {**shown, "data": Raw(found.data)}


HANDLERS: Final[Handlers] = {
    wire.Cron: cron,
    wire.CronGet: cron_get,
    wire.CronList: cron_list,
    wire.CronRun: cron_run,
    wire.CronDelete: cron_delete,
}
