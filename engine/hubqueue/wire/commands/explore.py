"""Commands that look into the backlog and back in time: for pages and lists, ours."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from hubqueue.wire.commands.base import Command
from hubqueue.wire.fields import WHOLE, JobName

PageSize = Annotated[int, Meta(ge=1, le=200, extra=WHOLE)]
SearchText = Annotated[str, Meta(max_length=256)]
Cursor = Annotated[str, Meta(max_length=64)]
QueueLimit = Annotated[int, Meta(ge=1, le=10_000, extra=WHOLE)]


class FindJobs(Command, tag="FindJobs", gc=False, kw_only=True):
    """Jobs of one queue or of all that fit every field given, newest first unless `ascending`."""

    queue: str | None = None
    states: list[str] | None = None
    name: JobName | None = None
    text: SearchText | None = None
    reason: JobName | None = None
    limit: PageSize = 50
    cursor: Cursor | None = None
    ascending: bool = False


class DeadReasons(Command, tag="DeadReasons", gc=False, kw_only=True):
    """What the dead letters of a queue, or of all, died of: alike ones together."""

    queue: str | None = None


class Overview(Command, tag="Overview", gc=False, kw_only=True):
    """The hub and its queues at this moment."""

    limit: QueueLimit = 1000


class History(Command, tag="History", gc=False, kw_only=True):
    """How the hub, or one queue, has done lately."""

    queue: str | None = None
    span: Literal["15m", "1h", "6h", "24h"] = "15m"
