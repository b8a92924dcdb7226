"""Handlers of job groups."""

from __future__ import annotations

from typing import Any, Final

from hubqueue.errors import Invalid
from hubqueue.hub.verbs import throttle
from hubqueue.model.limits import check_group, check_queue
from hubqueue.model.throttle import Rate
from hubqueue.servers.door import Call, Handlers
from hubqueue.servers.limits import rate_map
from hubqueue.wire.commands import groups as wire
from hubqueue.wire.fields import number
from hubqueue.wire.loose import positive


def _named(command: wire.GroupCommand) -> tuple[str, str]:
    """The queue and the group of a command. Errors: Invalid."""
    queue = check_queue(command.queue)
    if not command.group_id:
        raise Invalid("groupId is required")
    check_group(command.group_id)
    return queue, command.group_id


def get_jobs_count(call: Call, command: wire.GetGroupJobsCount) -> None:
    queue, group = _named(command)
    call.run(lambda tx: throttle.group_counts(tx, queue, group), lambda counts: {"data": {"count": counts[0]}})


def get_active_count(call: Call, command: wire.GetGroupActiveCount) -> None:
    queue, group = _named(command)
    call.run(lambda tx: throttle.group_counts(tx, queue, group), lambda counts: {"data": {"count": counts[1]}})


def get_all_jobs_count(call: Call, command: wire.GetGroupsJobsCount) -> None:
    queue = check_queue(command.queue)
    call.run(lambda tx: throttle.groups_count(tx, queue), lambda count: {"data": {"count": count}})


def set_rate_limit(call: Call, command: wire.SetGroupRateLimit) -> None:
    queue, group = _named(command)
    rate = Rate(positive("max", command.max), positive("duration", command.duration))
    call.run(lambda tx: throttle.set_group_rate(tx, queue, group, rate), _ok)


def get_rate_limit(call: Call, command: wire.GetGroupRateLimit) -> None:
    queue, group = _named(command)
    call.run(
        lambda tx: throttle.group_limits(tx, queue, group), lambda limits: {"data": {"limit": rate_map(limits.rate)}}
    )


def remove_rate_limit(call: Call, command: wire.RemoveGroupRateLimit) -> None:
    queue, group = _named(command)
    call.run(lambda tx: throttle.set_group_rate(tx, queue, group, None), _removed)


def get_rate_limit_ttl(call: Call, command: wire.GetGroupRateLimitTtl) -> None:
    queue, group = _named(command)
    call.run(
        lambda tx: throttle.group_wait_ms(tx, queue, group, command.max_jobs),
        lambda ttl: {"data": {"ttl": number(ttl)}},
    )


def set_concurrency(call: Call, command: wire.SetGroupConcurrency) -> None:
    queue, group = _named(command)
    concurrency = positive("concurrency", command.concurrency)
    call.run(lambda tx: throttle.set_group_concurrency(tx, queue, group, concurrency), _ok)


def get_concurrency(call: Call, command: wire.GetGroupConcurrency) -> None:
    queue, group = _named(command)
    call.run(
        lambda tx: throttle.group_limits(tx, queue, group),
        lambda limits: {"data": {"concurrency": None if limits.concurrency is None else number(limits.concurrency)}},
    )


def remove_concurrency(call: Call, command: wire.RemoveGroupConcurrency) -> None:
    queue, group = _named(command)
    call.run(lambda tx: throttle.set_group_concurrency(tx, queue, group, None), _removed)


def rate_limit_group(call: Call, command: wire.RateLimitGroup) -> None:
    queue, group = _named(command)
    duration = positive("duration", command.duration)
    call.run(lambda tx: throttle.block_group(tx, queue, group, duration))


def pause_group(call: Call, command: wire.PauseGroup) -> None:
    _pause(call, command, paused=True)


def resume_group(call: Call, command: wire.ResumeGroup) -> None:
    _pause(call, command, paused=False)


def _pause(call: Call, command: wire.GroupCommand, *, paused: bool) -> None:
    queue, group = _named(command)
    call.run(
        lambda tx: throttle.pause_group(tx, queue, group, paused=paused), lambda changed: {"data": {"changed": changed}}
    )


def is_group_paused(call: Call, command: wire.IsGroupPaused) -> None:
    queue, group = _named(command)
    call.run(lambda tx: throttle.is_group_paused(tx, queue, group), lambda paused: {"data": {"paused": paused}})


def _ok(_: bool) -> dict[str, Any]:
    return {}


def _removed(was_set: bool) -> dict[str, Any]:
    return {"data": {"removed": int(was_set)}}


HANDLERS: Final[Handlers] = {
    wire.GetGroupJobsCount: get_jobs_count,
    wire.GetGroupActiveCount: get_active_count,
    wire.GetGroupsJobsCount: get_all_jobs_count,
    wire.SetGroupRateLimit: set_rate_limit,
    wire.GetGroupRateLimit: get_rate_limit,
    wire.RemoveGroupRateLimit: remove_rate_limit,
    wire.GetGroupRateLimitTtl: get_rate_limit_ttl,
    wire.SetGroupConcurrency: set_concurrency,
    wire.GetGroupConcurrency: get_concurrency,
    wire.RemoveGroupConcurrency: remove_concurrency,
    wire.RateLimitGroup: rate_limit_group,
    wire.PauseGroup: pause_group,
    wire.ResumeGroup: resume_group,
    wire.IsGroupPaused: is_group_paused,
}
