"""Commands of job groups: jobs of one queue that take turns, with limits of their own."""

from __future__ import annotations

from typing import Any

from hubqueue.wire.commands.base import Command
from hubqueue.wire.fields import Count


class GroupCommand(Command, gc=False, kw_only=True):
    """A command about one group of a queue."""

    queue: str
    group_id: str


class GetGroupJobsCount(GroupCommand, tag="GetGroupJobsCount", gc=False, kw_only=True):
    """How many jobs of a group are queued."""


class GetGroupActiveCount(GroupCommand, tag="GetGroupActiveCount", gc=False, kw_only=True):
    """How many jobs of a group are active."""


class GetGroupsJobsCount(Command, tag="GetGroupsJobsCount", gc=False, kw_only=True):
    """How many jobs of all groups of a queue are queued."""

    queue: str


class SetGroupRateLimit(GroupCommand, tag="SetGroupRateLimit", gc=False, kw_only=True):
    """Hand out at most `max` jobs of a group per `duration`."""

    max: Any = None
    duration: Any = None


class GetGroupRateLimit(GroupCommand, tag="GetGroupRateLimit", gc=False, kw_only=True):
    """The stored rate limit of a group."""


class RemoveGroupRateLimit(GroupCommand, tag="RemoveGroupRateLimit", gc=False, kw_only=True):
    """Take the stored rate limit of a group away."""


class GetGroupRateLimitTtl(GroupCommand, tag="GetGroupRateLimitTtl", gc=False, kw_only=True):
    """How long a rate or a block still holds a group back."""

    max_jobs: Count | None = None


class SetGroupConcurrency(GroupCommand, tag="SetGroupConcurrency", gc=False, kw_only=True):
    """Let at most `concurrency` jobs of a group be active at a time."""

    concurrency: Any = None


class GetGroupConcurrency(GroupCommand, tag="GetGroupConcurrency", gc=False, kw_only=True):
    """The stored concurrency limit of a group."""


class RemoveGroupConcurrency(GroupCommand, tag="RemoveGroupConcurrency", gc=False, kw_only=True):
    """Take the stored concurrency limit of a group away."""


class RateLimitGroup(GroupCommand, tag="RateLimitGroup", gc=False, kw_only=True):
    """Hand out no job of a group for `duration`."""

    duration: Any = None


class PauseGroup(GroupCommand, tag="PauseGroup", gc=False, kw_only=True):
    """Hand out no more jobs of a group; other groups go on."""


class ResumeGroup(GroupCommand, tag="ResumeGroup", gc=False, kw_only=True):
    """Hand out jobs of a group again."""


class IsGroupPaused(GroupCommand, tag="IsGroupPaused", gc=False, kw_only=True):
    """Whether a group is paused."""
