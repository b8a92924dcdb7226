"""Commands that look into the backlog, for pages and lists."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from hubqueue.commands.call import Call
from hubqueue.commands.command import READ, Command, command, queue_if_named
from hubqueue.errors import Invalid
from hubqueue.hub.verbs import explore
from hubqueue.wire.fields import WHOLE, JobName, Tags, number
from hubqueue.wire.jobmap import queried_job

PageSize = Annotated[int, Meta(ge=1, le=200, extra=WHOLE)]
SearchText = Annotated[str, Meta(max_length=256)]
Cursor = Annotated[str, Meta(max_length=64)]
MAX_CURSOR_DIGITS: Final = 16


@command(READ, queue_if_named, weight=4 * 1024 * 1024)
class FindJobs(Command):
    """Jobs of one queue or of all that fit every field given, newest first unless `ascending`."""

    queue: str | None = None
    states: list[str] | None = None
    name: JobName | None = None
    text: SearchText | None = None
    reason: JobName | None = None
    tags: Tags | None = None
    limit: PageSize = 50
    cursor: Cursor | None = None
    ascending: bool = False

    def handle(self, call: Call) -> None:
        after = None if self.cursor is None else _position(self.cursor)

        def verb(tx: Any) -> explore.Found:
            return explore.find(
                tx,
                self.queue,
                self.states or (),
                name=self.name,
                text=self.text,
                reason=self.reason,
                tags=self.tags or (),
                limit=self.limit,
                after=after,
                ascending=self.ascending,
                sees=call.sees,
            )

        call.run(verb, _page)


class DeadGroup(msgspec.Struct, rename="camel", kw_only=True):
    """Dead letters that died of the same: reason and error text, numbers and names in it left out."""

    queue: str
    reason: str
    error: str
    pattern: str
    count: int
    oldest_at: int
    newest_at: int
    sample_id: str


class DeadGroups(msgspec.Struct, kw_only=True):
    """Groups of dead letters; how many were looked at, of how many."""

    reasons: list[DeadGroup]
    counted: int
    total: int


@command(READ, queue_if_named, answers=DeadGroups)
class DeadReasons(Command):
    """What the dead letters of a queue, or of all, died of: alike ones together."""

    queue: str | None = None

    async def handle(self, call: Call) -> dict[str, Any]:
        groups = explore.Reasons(self.queue, call.sees)
        while await call.session.context.hub.run(groups.step):
            pass
        shown = [
            {
                "queue": group.queue,
                "reason": group.reason,
                "error": group.error,
                "pattern": group.pattern,
                "count": group.count,
                "newestAt": float(group.newest_ms),
                "oldestAt": float(group.oldest_ms),
                "sampleId": group.sample_id,
            }
            for group in groups.largest_first()
        ]
        return {"reasons": shown, "counted": groups.counted, "total": number(groups.total)}


def _page(found: explore.Found) -> dict[str, Any]:
    shown = []
    for job, word in found.jobs:
        shown.append(queried_job(job))
        shown[-1].state = word
    cursor = None if found.cursor is None else str(found.cursor)
    return {"jobs": shown, "cursor": cursor, "scanned": found.looked_at}


def _position(cursor: str) -> int:
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= MAX_CURSOR_DIGITS):
        raise Invalid("cursor is not one of a page", hint="send the cursor of the page before, or none")
    return int(cursor)
