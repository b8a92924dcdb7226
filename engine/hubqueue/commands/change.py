"""Commands that change one job."""

from __future__ import annotations

from typing import Any

from msgspec import Raw

from hubqueue.commands.call import OK, Call
from hubqueue.commands.command import ADMIN, WORK, Changed, Command, command, its_job, its_queue
from hubqueue.errors import Invalid
from hubqueue.hub.verbs import change, leased, query
from hubqueue.model.limits import check_size
from hubqueue.wire.fields import ABSENT, AnyDelayMs, Count, DelayMs, Priority, TimeMs, value_bytes


@command(ADMIN, its_job)
class Cancel(Command):
    """Delete a queued job; with `active` (ours) an active one is marked, and its worker hears of it."""

    id: str
    active: bool = False

    def handle(self, call: Call) -> None:
        call.run(lambda tx: change.cancel(tx, self.id, active=self.active))


@command(WORK, its_job)
class Discard(Command):
    """Send a job to the dead-letter queue at once."""

    id: str
    token: str | None = None

    def handle(self, call: Call) -> None:
        call.run(lambda tx: change.discard(tx, self.id, self.token))


@command(WORK, its_job)
class Update(Command):
    """Replace the data of a job."""

    id: str
    data: Raw = ABSENT

    def handle(self, call: Call) -> None:
        data = value_bytes(self.data)
        check_size(data)
        call.run(lambda tx: change.update(tx, self.id, data))


@command(ADMIN, its_job)
class ChangePriority(Command):
    """Give a queued job another priority, or another side of the line with `lifo` (ours without a priority)."""

    id: str
    priority: Priority | None = None
    lifo: bool | None = None

    def handle(self, call: Call) -> None:
        if self.priority is None and self.lifo is None:
            raise Invalid("priority is required")
        call.run(lambda tx: change.change_priority(tx, self.id, self.priority, self.lifo))


@command(WORK, its_job)
class ChangeDelay(Command):
    """Let a job become due `delay` from now; an active one goes back."""

    id: str
    delay: AnyDelayMs
    token: str | None = None

    def handle(self, call: Call) -> None:
        call.run(lambda tx: change.change_delay(tx, self.id, self.delay, self.token))


@command(WORK, its_job)
class MoveToDelayed(Command):
    """The same as ChangeDelay, with the texts of a move."""

    id: str
    delay: AnyDelayMs
    token: str | None = None

    def handle(self, call: Call) -> None:
        call.run(lambda tx: change.move_to_delayed(tx, self.id, self.delay, self.token))


@command(WORK, its_job)
class MoveToWait(Command):
    """Make a job waiting: promote, give back or retry it, as its state asks."""

    id: str
    token: str | None = None

    def handle(self, call: Call) -> None:
        call.run(lambda tx: change.move_to_wait(tx, self.id, self.token), lambda done: change.refusal(done) or OK)


@command(WORK, its_job)
class Snooze(Command):
    """Let a queued job wait until a time, or for `delay` from now, ours; nothing is counted."""

    id: str
    until: TimeMs | None = None
    delay: DelayMs | None = None

    def handle(self, call: Call) -> None:
        call.run(lambda tx: change.snooze(tx, self.id, until_ms=self.until, delay_ms=self.delay))


@command(WORK, its_job)
class Promote(Command):
    """Let a delayed job run now."""

    id: str

    def handle(self, call: Call) -> None:
        call.run(lambda tx: change.promote(tx, self.id))


@command(WORK, its_queue, answers=Changed)
class PromoteJobs(Command):
    """Let delayed jobs of a queue run now, oldest first."""

    queue: str
    count: Count | None = None

    async def handle(self, call: Call) -> dict[str, Any]:
        limit = None if self.count is None else max(0, self.count)
        return {"count": await call.session.context.hub.long_work.promote_all(self.queue, limit=limit)}


@command(ADMIN, its_queue)
class RemoveDeduplicationKey(Command):
    """Free a deduplication key of a queue."""

    queue: str
    deduplication_id: str

    def handle(self, call: Call) -> None:
        def shape(freed: bool) -> dict[str, Any]:
            return {"data": {"count": int(freed)}}

        call.run(lambda tx: query.free_key(tx, self.queue, self.deduplication_id), shape)


@command(WORK, its_job)
class RemoveJobDeduplicationKey(Command):
    """Free the deduplication key that a job holds."""

    id: str

    def handle(self, call: Call) -> None:
        call.run(lambda tx: query.free_key_of(tx, self.id), lambda freed: {"data": {"removed": freed}})


@command(WORK, its_job)
class AddLog(Command):
    """Add a line to the log of a job."""

    id: str
    message: str
    level: str = "info"

    def handle(self, call: Call) -> None:
        call.run(lambda tx: leased.add_log(tx, self.id, self.message, self.level), lambda _: {"data": {"added": True}})


@command(ADMIN, its_job)
class ClearLogs(Command):
    """Forget the log of a job but for its newest `keepLogs` lines."""

    id: str
    keep_logs: Count | None = None

    def handle(self, call: Call) -> None:
        call.run(lambda tx: leased.trim_logs(tx, self.id, self.keep_logs or 0))
