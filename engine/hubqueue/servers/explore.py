"""Handlers that look into the backlog: find jobs, and what dead letters died of."""

from __future__ import annotations

from typing import Any, Final

from hubqueue.errors import Invalid
from hubqueue.hub.verbs import explore
from hubqueue.servers.door import Call, Handlers
from hubqueue.wire.commands import explore as wire
from hubqueue.wire.fields import number
from hubqueue.wire.jobmap import queried_job

MAX_CURSOR_DIGITS: Final = 16


def find_jobs(call: Call, command: wire.FindJobs) -> None:
    after = None if command.cursor is None else _position(command.cursor)

    def verb(tx: Any) -> explore.Found:
        return explore.find(
            tx,
            command.queue,
            command.states or (),
            name=command.name,
            text=command.text,
            reason=command.reason,
            limit=command.limit,
            after=after,
            ascending=command.ascending,
            sees=call.sees,
        )

    call.run(verb, _page)


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


async def dead_reasons(call: Call, command: wire.DeadReasons) -> dict[str, Any]:
    groups = explore.Reasons(command.queue, call.sees)
    while await call.session.door.hub.run(groups.step):
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


HANDLERS: Final[Handlers] = {
    wire.FindJobs: find_jobs,
    wire.DeadReasons: dead_reasons,
}
