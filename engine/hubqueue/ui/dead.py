"""Dead letters of one queue or of all, grouped by what they died of: retry, delete or save one, some, or a group."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import msgspec
from aiohttp import web

from hubqueue.errors import Forbidden, HubqueueError, Invalid, NotFound
from hubqueue.model.errortext import pattern
from hubqueue.model.limits import check_queue
from hubqueue.ui import inputs
from hubqueue.ui.bulkactions import BULK_ACTIONS, BulkAction, BulkResult, by_id, do
from hubqueue.ui.queue import told
from hubqueue.ui.render import confirm, page
from hubqueue.ui.requestcontext import Session, may, session_of, swaps, url
from hubqueue.ui.searching import PAGE, find
from hubqueue.wire.jobmap import JobMap
from hubqueue.wire.jsondata import plain

MAX_GROUPS: Final = 200  # shown; the largest come first
WHOLE: Final = {"retry": "RetryDlq", "remove": "PurgeDlq"}


class Group(msgspec.Struct, frozen=True):
    """Which dead letters: "" is no condition; reason and error come together."""

    queue: str = ""
    reason: str = ""
    error: str = ""

    @property
    def is_one(self) -> bool:
        """Whether it is a group of DeadReasons, and not all of a queue."""
        return bool(self.queue and self.reason)

    def query(self) -> dict[str, str]:
        return {name: value for name, value in msgspec.structs.asdict(self).items() if value}


def _group(given: Mapping[str, object]) -> Group:
    queue = inputs.text(given, "queue")
    try:
        return Group(check_queue(queue) if queue else "", inputs.text(given, "reason"), inputs.text(given, "error"))
    except Invalid as error:
        raise NotFound("There is no such queue", hint=error.message) from None


async def show(request: web.Request) -> web.Response:
    """The groups, or their live part for htmx."""
    session, queue = session_of(request), _group(request.query).queue
    found = await session.ask("DeadReasons", **({"queue": queue} if queue else {}))
    return page(
        request,
        "dead_state.html" if swaps(request) else "dead.html",
        queue=queue,
        groups=found["reasons"][:MAX_GROUPS],
        more=max(0, len(found["reasons"]) - MAX_GROUPS),
        counted=found["counted"],
        total=int(found["total"]),
    )


async def show_group(request: web.Request) -> web.Response:
    """The dead letters of one group, the newest first."""
    group = _group(request.query)
    if not group.is_one:
        raise NotFound("There is no such group")
    jobs: list[JobMap] = []
    async for job in _members(session_of(request), group):
        jobs.append(job)
        if len(jobs) > PAGE:
            break
    return page(
        request,
        "dead_group_state.html" if swaps(request) else "dead_group.html",
        group=group,
        jobs=jobs[:PAGE],
        more=len(jobs) > PAGE,
        count=await _count(session_of(request), group),
        deeds=[BULK_ACTIONS[name] for name in WHOLE if may(request, BULK_ACTIONS[name].scope)],
    )


async def _members(session: Session, group: Group) -> AsyncIterator[JobMap]:
    alike = pattern(group.error)
    async for job in find(session, {"queue": group.queue, "states": ["failed"], "reason": group.reason}):
        if pattern(job.failed_reason or None) == alike:
            yield job


async def _count(session: Session, group: Group) -> int:
    """How many dead letters are meant now; of a group those among the newest, as far as DeadReasons counts."""
    if group.queue and not group.is_one:
        counts: dict[str, int] = (await session.ask("GetJobCounts", queue=group.queue))["counts"]
        return counts["failed"]
    found = await session.ask("DeadReasons", **({"queue": group.queue} if group.queue else {}))
    if not group.is_one:
        return int(found["total"])
    alike = pattern(group.error)
    return sum(
        each["count"] for each in found["reasons"] if each["reason"] == group.reason and each["pattern"] == alike
    )


async def ask(request: web.Request) -> web.Response:
    """Ask before ticked dead letters, a group, or all of them are retried or deleted."""
    session, deed, form = session_of(request), _deed(request), await request.post()
    group, ids = _group(form), [str(id) for id in form.getall("id", ())]
    if form.get("of") != "all" and not ids:
        raise Invalid("No job is ticked", hint="tick the jobs first, or take the whole group")
    if form.get("of") != "all":
        number, fields = sum(deed.fits(job) for job in await by_id(session, ids)), {"id": ids}
    else:
        number = await _count(session, group)
        fields = {"of": ["all"], **({"limit": [str(number)]} if group.is_one else {})}
    return confirm(
        request,
        f"job.{deed.name}",
        tone=deed.tone,
        action=url(request, f"/dead/do/{deed.name}"),
        count=number,
        fields={**fields, **group.query()},
        back=url(request, "/dead"),
        queue=group.queue,
    )


async def act(request: web.Request) -> web.Response:
    """Do what was confirmed."""
    session, deed, form = session_of(request), _deed(request), await request.post()
    group = _group(form)
    if form.get("of") != "all":
        result = await do(session, deed, await by_id(session, [str(id) for id in form.getall("id", ())]))
    else:
        queues = [group.queue] if group.queue else await _queues(session)
        filter = {"filter": _filter(group, form)} if group.is_one else {}
        result = BulkResult()
        for queue in queues:
            try:
                result += BulkResult.of(await session.ask(WHOLE[deed.name], queue=queue, **filter))
            except HubqueueError as error:  # of one queue: the others have theirs
                result += BulkResult(error=error)
    return told(request, deed, result, group.queue)


def _filter(group: Group, form: Mapping[str, object]) -> dict[str, Any]:
    """A group as DlqFilter takes it: no more of its members than the question has named."""
    limit = inputs.whole(form, "limit")
    return {"reason": group.reason, "error": group.error, **({} if limit is None else {"limit": limit})}


async def _queues(session: Session) -> list[str]:
    """Those that have dead letters."""
    found = await session.ask("DeadReasons")
    return sorted({each["queue"] for each in found["reasons"]})


def _deed(request: web.Request) -> BulkAction:
    name = request.match_info["deed"]
    if name not in WHOLE:
        raise NotFound("There is no such action")
    if not may(request, BULK_ACTIONS[name].scope):
        raise Forbidden(f"This token lacks the scope '{BULK_ACTIONS[name].scope}'")
    return BULK_ACTIONS[name]


async def export(request: web.Request) -> web.StreamResponse:
    """All of them as JSON lines, the oldest first, sent as they are read."""
    session, group = session_of(request), _group(request.query)
    name = f"dead-letters-{group.queue}.jsonl" if group.queue else "dead-letters.jsonl"
    answer = web.StreamResponse(
        headers={
            "Content-Type": "application/jsonl; charset=utf-8",
            "Content-Disposition": f'attachment; filename="{name}"',
            "Cache-Control": "no-store",
        }
    )
    wanted = {"states": ["failed"], "ascending": True} | ({"queue": group.queue} if group.queue else {})
    jobs = find(session, wanted)
    first = await anext(jobs, None)  # its errors are still a page
    await answer.prepare(request)
    if first is not None:
        await answer.write(line(first))
    async for job in jobs:
        await answer.write(line(job))
    await answer.write_eof()
    return answer


def line(job: JobMap) -> bytes:
    """A job as one line of JSON, whatever is stored."""
    return msgspec.json.encode(plain(msgspec.to_builtins(job, builtin_types=(msgspec.Raw,)))) + b"\n"


ROUTES: Final = (
    web.get("/dead", show),
    web.get("/dead/group", show_group),
    web.get("/dead/export", export),
    web.post("/dead/ask/{deed}", ask),
    web.post("/dead/do/{deed}", act),
)
