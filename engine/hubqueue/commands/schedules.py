"""Commands of recurring jobs."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Raw

from hubqueue.commands.call import Call
from hubqueue.commands.command import ADMIN, FILTERED, READ, Command, Touched, command
from hubqueue.commands.enqueue import relatives
from hubqueue.hub.verbs import schedule
from hubqueue.model.job import attempts_of
from hubqueue.model.schedule import Schedule
from hubqueue.wire.fields import ABSENT, JobId, JobName, Priority, RepeatMs, Whole, number, value_bytes
from hubqueue.wire.jobin import DedupIn, JobFields, options_of, take_name
from hubqueue.wire.joboptions import run_options


def _put(command: Cron) -> Touched:
    tied = [] if command.job_options is None else relatives(command.job_options)
    return Touched((command.queue,), tied, (command.name,))


def _schedule(command: Any) -> Touched:
    return Touched(schedules=(command.name,))


@command(ADMIN, _put)
class Cron(Command):
    """Put a schedule: a job every `repeatEvery`, or at the times of `schedule`. `maxLimit` runs at most."""

    name: str
    queue: str
    job_name: JobName | None = None
    data: Raw = ABSENT
    schedule: str | None = None
    repeat_every: RepeatMs | None = None
    priority: Priority = 0
    max_limit: Whole | None = None
    timezone: str | None = None
    unique_key: JobId | None = None
    dedup: DedupIn | None = None
    immediately: bool | None = None
    prevent_overlap: bool | None = None
    skip_missed_on_restart: bool | None = None
    skip_if_no_worker: bool | None = None
    job_options: JobFields | None = None

    def handle(self, call: Call) -> None:
        data = value_bytes(self.data)
        name = self.job_name
        if name is None:
            name, data = take_name(data)
        job = self.job_options or JobFields()
        job = msgspec.structs.replace(job, unique_key=self.unique_key, dedup=self.dedup, repeat=None)
        options = options_of(job)
        wanted = call.session.context.hub.placed(
            Schedule(
                key=self.name,
                queue=self.queue,
                name=name,
                data=data,
                priority=self.priority,
                every_ms=self.repeat_every if self.schedule is None else None,
                cron=self.schedule,
                timezone=self.timezone or None,
                limit=self.max_limit if self.max_limit is not None and self.max_limit > 0 else None,
                immediately=bool(self.immediately),
                overlap=self.prevent_overlap is False,
                skip_missed=self.skip_missed_on_restart is not False,
                worker_only=bool(self.skip_if_no_worker),
                max_attempts=attempts_of(job.max_attempts, options),
                delay_ms=job.delay,
                options=options,
            )
        )
        afresh = self.prevent_overlap is True
        call.run(lambda tx: schedule.upsert(tx, wanted, afresh=afresh), _cron)


@command(READ, _schedule)
class CronGet(Command):
    """One schedule."""

    name: str

    def handle(self, call: Call) -> None:
        call.run(lambda tx: schedule.get(tx, self.name), lambda found: {"cron": _whole(found)})


@command(READ, FILTERED)
class CronList(Command):
    """All schedules."""

    def handle(self, call: Call) -> None:
        call.run(
            schedule.every, lambda found: {"crons": [shown_schedule(each) for each in found if call.sees(each.queue)]}
        )


@command(ADMIN, _schedule)
class CronRun(Command):
    """Enqueue the job of a schedule now, ours; when it fires next stays as it is."""

    name: str

    def handle(self, call: Call) -> None:
        call.run(lambda tx: schedule.run_now(tx, self.name), lambda id: {"id": id})


@command(ADMIN, _schedule)
class CronDelete(Command):
    """Take a schedule away."""

    name: str

    def handle(self, call: Call) -> None:
        call.run(lambda tx: schedule.delete(tx, self.name))


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
