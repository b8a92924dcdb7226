"""Commands that change one job."""

from __future__ import annotations

from msgspec import Raw

from hubqueue.wire.commands.base import Command
from hubqueue.wire.fields import ABSENT, AnyDelayMs, Count, Priority


class Cancel(Command, tag="Cancel", gc=False, kw_only=True):
    """Delete a queued job; with `active` (ours) an active one is marked, and its worker hears of it."""

    id: str
    active: bool = False


class Discard(Command, tag="Discard", gc=False, kw_only=True):
    """Send a job to the dead-letter queue at once."""

    id: str
    token: str | None = None


class Update(Command, tag="Update", gc=False, kw_only=True):
    """Replace the data of a job."""

    id: str
    data: Raw = ABSENT


class ChangePriority(Command, tag="ChangePriority", gc=False, kw_only=True):
    """Give a queued job another priority, or another side of the line with `lifo` (ours without a priority)."""

    id: str
    priority: Priority | None = None
    lifo: bool | None = None


class ChangeDelay(Command, tag="ChangeDelay", gc=False, kw_only=True):
    """Let a job become due `delay` from now; an active one goes back."""

    id: str
    delay: AnyDelayMs
    token: str | None = None


class MoveToDelayed(Command, tag="MoveToDelayed", gc=False, kw_only=True):
    """The same as ChangeDelay, with the texts of a move."""

    id: str
    delay: AnyDelayMs
    token: str | None = None


class MoveToWait(Command, tag="MoveToWait", gc=False, kw_only=True):
    """Make a job waiting: promote, give back or retry it, as its state asks."""

    id: str
    token: str | None = None


class Promote(Command, tag="Promote", gc=False, kw_only=True):
    """Let a delayed job run now."""

    id: str


class PromoteJobs(Command, tag="PromoteJobs", gc=False, kw_only=True):
    """Let delayed jobs of a queue run now, oldest first."""

    queue: str
    count: Count | None = None


class RemoveDeduplicationKey(Command, tag="RemoveDeduplicationKey", gc=False, kw_only=True):
    """Free a deduplication key of a queue."""

    queue: str
    deduplication_id: str


class RemoveJobDeduplicationKey(Command, tag="RemoveJobDeduplicationKey", gc=False, kw_only=True):
    """Free the deduplication key that a job holds."""

    id: str


class AddLog(Command, tag="AddLog", gc=False, kw_only=True):
    """Add a line to the log of a job."""

    id: str
    message: str
    level: str = "info"


class ClearLogs(Command, tag="ClearLogs", gc=False, kw_only=True):
    """Forget the log of a job but for its newest `keepLogs` lines."""

    id: str
    keep_logs: Count | None = None
