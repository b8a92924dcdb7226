"""Handlers of commands that change one job."""

from __future__ import annotations

from typing import Any, Final

from hubqueue.errors import Invalid
from hubqueue.hub.verbs import change, leased, query
from hubqueue.model.limits import check_size
from hubqueue.servers.door import OK, Call, Handlers
from hubqueue.wire.commands import control as wire
from hubqueue.wire.fields import value_bytes


def cancel(call: Call, command: wire.Cancel) -> None:
    call.run(lambda tx: change.cancel(tx, command.id, active=command.active))


def discard(call: Call, command: wire.Discard) -> None:
    call.run(lambda tx: change.discard(tx, command.id, command.token))


def update(call: Call, command: wire.Update) -> None:
    data = value_bytes(command.data)
    check_size(data)
    call.run(lambda tx: change.update(tx, command.id, data))


def change_priority(call: Call, command: wire.ChangePriority) -> None:
    if command.priority is None and command.lifo is None:
        raise Invalid("priority is required")
    call.run(lambda tx: change.change_priority(tx, command.id, command.priority, command.lifo))


def change_delay(call: Call, command: wire.ChangeDelay) -> None:
    call.run(lambda tx: change.change_delay(tx, command.id, command.delay, command.token))


def move_to_delayed(call: Call, command: wire.MoveToDelayed) -> None:
    call.run(lambda tx: change.move_to_delayed(tx, command.id, command.delay, command.token))


def move_to_wait(call: Call, command: wire.MoveToWait) -> None:
    call.run(lambda tx: change.move_to_wait(tx, command.id, command.token), lambda done: change.refusal(done) or OK)


def promote(call: Call, command: wire.Promote) -> None:
    call.run(lambda tx: change.promote(tx, command.id))


async def promote_jobs(call: Call, command: wire.PromoteJobs) -> dict[str, Any]:
    limit = None if command.count is None else max(0, command.count)
    return {"count": await call.session.door.hub.promote_all(command.queue, limit=limit)}


def remove_deduplication_key(call: Call, command: wire.RemoveDeduplicationKey) -> None:
    def shape(freed: bool) -> dict[str, Any]:
        return {"data": {"count": int(freed)}}

    call.run(lambda tx: query.free_key(tx, command.queue, command.deduplication_id), shape)


def remove_job_deduplication_key(call: Call, command: wire.RemoveJobDeduplicationKey) -> None:
    call.run(lambda tx: query.free_key_of(tx, command.id), lambda freed: {"data": {"removed": freed}})


def add_log(call: Call, command: wire.AddLog) -> None:
    call.run(
        lambda tx: leased.add_log(tx, command.id, command.message, command.level), lambda _: {"data": {"added": True}}
    )


def clear_logs(call: Call, command: wire.ClearLogs) -> None:
    call.run(lambda tx: leased.trim_logs(tx, command.id, command.keep_logs or 0))


HANDLERS: Final[Handlers] = {
    wire.Cancel: cancel,
    wire.Discard: discard,
    wire.Update: update,
    wire.ChangePriority: change_priority,
    wire.ChangeDelay: change_delay,
    wire.MoveToDelayed: move_to_delayed,
    wire.MoveToWait: move_to_wait,
    wire.Promote: promote,
    wire.PromoteJobs: promote_jobs,
    wire.RemoveDeduplicationKey: remove_deduplication_key,
    wire.RemoveJobDeduplicationKey: remove_job_deduplication_key,
    wire.AddLog: add_log,
    wire.ClearLogs: clear_logs,
}
