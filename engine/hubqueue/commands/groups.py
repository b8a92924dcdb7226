"""Commands of job groups: jobs of one queue that take turns, with limits of their own."""

from __future__ import annotations

from typing import Any

from hubqueue.commands.call import Call
from hubqueue.commands.command import ADMIN, READ, WORK, Command, command, its_queue
from hubqueue.commands.limits import rate_map
from hubqueue.errors import Invalid
from hubqueue.hub.verbs import throttle
from hubqueue.model.limits import check_group, check_queue
from hubqueue.model.throttle import Rate
from hubqueue.wire.fields import Count, number
from hubqueue.wire.loose import positive


class GroupCommand(Command):
    """A command about one group of a queue."""

    queue: str
    group_id: str

    def named(self) -> tuple[str, str]:
        """The queue and the group. Errors: Invalid."""
        queue = check_queue(self.queue)
        if not self.group_id:
            raise Invalid("groupId is required")
        check_group(self.group_id)
        return queue, self.group_id


@command(READ, its_queue)
class GetGroupJobsCount(GroupCommand):
    """How many jobs of a group are queued."""

    def handle(self, call: Call) -> None:
        queue, group = self.named()
        call.run(lambda tx: throttle.group_counts(tx, queue, group), lambda counts: {"data": {"count": counts[0]}})


@command(READ, its_queue)
class GetGroupActiveCount(GroupCommand):
    """How many jobs of a group are active."""

    def handle(self, call: Call) -> None:
        queue, group = self.named()
        call.run(lambda tx: throttle.group_counts(tx, queue, group), lambda counts: {"data": {"count": counts[1]}})


@command(READ, its_queue)
class GetGroupsJobsCount(Command):
    """How many jobs of all groups of a queue are queued."""

    queue: str

    def handle(self, call: Call) -> None:
        queue = check_queue(self.queue)
        call.run(lambda tx: throttle.groups_count(tx, queue), lambda count: {"data": {"count": count}})


@command(ADMIN, its_queue)
class SetGroupRateLimit(GroupCommand):
    """Hand out at most `max` jobs of a group per `duration`."""

    max: Any = None
    duration: Any = None

    def handle(self, call: Call) -> None:
        queue, group = self.named()
        rate = Rate(positive("max", self.max), positive("duration", self.duration))
        call.run(lambda tx: throttle.set_group_rate(tx, queue, group, rate), _ok)


@command(READ, its_queue)
class GetGroupRateLimit(GroupCommand):
    """The stored rate limit of a group."""

    def handle(self, call: Call) -> None:
        queue, group = self.named()
        call.run(
            lambda tx: throttle.group_limits(tx, queue, group),
            lambda limits: {"data": {"limit": rate_map(limits.rate)}},
        )


@command(ADMIN, its_queue)
class RemoveGroupRateLimit(GroupCommand):
    """Take the stored rate limit of a group away."""

    def handle(self, call: Call) -> None:
        queue, group = self.named()
        call.run(lambda tx: throttle.set_group_rate(tx, queue, group, None), _removed)


@command(READ, its_queue)
class GetGroupRateLimitTtl(GroupCommand):
    """How long a rate or a block still holds a group back."""

    max_jobs: Count | None = None

    def handle(self, call: Call) -> None:
        queue, group = self.named()
        call.run(
            lambda tx: throttle.group_wait_ms(tx, queue, group, self.max_jobs),
            lambda ttl: {"data": {"ttl": number(ttl)}},
        )


@command(ADMIN, its_queue)
class SetGroupConcurrency(GroupCommand):
    """Let at most `concurrency` jobs of a group be active at a time."""

    concurrency: Any = None

    def handle(self, call: Call) -> None:
        queue, group = self.named()
        concurrency = positive("concurrency", self.concurrency)
        call.run(lambda tx: throttle.set_group_concurrency(tx, queue, group, concurrency), _ok)


@command(READ, its_queue)
class GetGroupConcurrency(GroupCommand):
    """The stored concurrency limit of a group."""

    def handle(self, call: Call) -> None:
        queue, group = self.named()
        call.run(
            lambda tx: throttle.group_limits(tx, queue, group),
            lambda limits: {
                "data": {"concurrency": None if limits.concurrency is None else number(limits.concurrency)}
            },
        )


@command(ADMIN, its_queue)
class RemoveGroupConcurrency(GroupCommand):
    """Take the stored concurrency limit of a group away."""

    def handle(self, call: Call) -> None:
        queue, group = self.named()
        call.run(lambda tx: throttle.set_group_concurrency(tx, queue, group, None), _removed)


@command(WORK, its_queue)
class RateLimitGroup(GroupCommand):
    """Hand out no job of a group for `duration`."""

    duration: Any = None

    def handle(self, call: Call) -> None:
        queue, group = self.named()
        duration = positive("duration", self.duration)
        call.run(lambda tx: throttle.block_group(tx, queue, group, duration))


@command(ADMIN, its_queue)
class PauseGroup(GroupCommand):
    """Hand out no more jobs of a group; other groups go on."""

    def handle(self, call: Call) -> None:
        _pause(call, self, paused=True)


@command(ADMIN, its_queue)
class ResumeGroup(GroupCommand):
    """Hand out jobs of a group again."""

    def handle(self, call: Call) -> None:
        _pause(call, self, paused=False)


@command(READ, its_queue)
class IsGroupPaused(GroupCommand):
    """Whether a group is paused."""

    def handle(self, call: Call) -> None:
        queue, group = self.named()
        call.run(lambda tx: throttle.is_group_paused(tx, queue, group), lambda paused: {"data": {"paused": paused}})


def _pause(call: Call, command: GroupCommand, *, paused: bool) -> None:
    queue, group = command.named()
    call.run(
        lambda tx: throttle.pause_group(tx, queue, group, paused=paused), lambda changed: {"data": {"changed": changed}}
    )


def _ok(_: bool) -> dict[str, Any]:
    return {}


def _removed(was_set: bool) -> dict[str, Any]:
    return {"data": {"removed": int(was_set)}}
