"""The page of one job: what it is, what became of it, its relatives, and what its state allows to do with it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final

from aiohttp import web

from hubqueue.errors import HubqueueError, Invalid, NotFound
from hubqueue.model.access import Scope
from hubqueue.ui import inputs
from hubqueue.ui.bulkactions import BULK_ACTIONS, QUEUED, BulkAction, do
from hubqueue.ui.payloads import packed_text, payload
from hubqueue.ui.queue import deed_of, told
from hubqueue.ui.render import confirm, done, page
from hubqueue.ui.requestcontext import Session, may, session_of, swaps, url
from hubqueue.wire.jobmap import JobMap

MAX_SHOWN: Final = 50  # relatives that are looked up for a page
MAX_LINES: Final = 100  # of the log: what the hub keeps

# what can be changed: in which states, and with which scope (commands/scopes has the last word)
CHANGES: Final = {
    "data": (QUEUED | {"active", "waiting-children"}, Scope.WORK),
    "priority": (QUEUED, Scope.ADMIN),
    "snooze": (QUEUED, Scope.WORK),
}


async def show(request: web.Request) -> web.Response:
    """The page, or its live part for htmx."""
    session, job = session_of(request), await _job(request)
    parents = [job.parent_id] if job.parent_id else []
    children = dict.fromkeys((*job.children_ids, *job.depends_on))
    data = payload(job.data)
    return page(
        request,
        "job_state.html" if swaps(request) else "job.html",
        job=job,
        data=data,
        result=payload(job.returnvalue),
        logs=await _logs(session, job),
        parents=await _relatives(session, parents),
        children=await _relatives(session, list(children)[:MAX_SHOWN]),
        more_children=max(0, len(children) - MAX_SHOWN),
        deeds=[deed for deed in BULK_ACTIONS.values() if deed.fits(job) and may(request, deed.scope)],
        changes=[
            name
            for name, (states, scope) in CHANGES.items()
            if job.state in states and may(request, scope) and (name != "data" or data is None or data.editable)
        ],
    )


async def _job(request: web.Request) -> JobMap:
    """Errors: NotFound."""
    id = request.query.get("id", "")
    if not id:
        raise NotFound
    job: JobMap = (await session_of(request).ask("GetJob", id=id))["job"]
    return job


async def _logs(session: Session, job: JobMap) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = (await session.ask("GetLogs", id=job.id))["data"]["logs"]
    return lines[-MAX_LINES:]


async def _relatives(session: Session, ids: Iterable[str]) -> list[tuple[str, JobMap | None]]:
    """Jobs by id; None for those that are gone, or belong to a queue this visitor may not see."""

    async def one(id: str) -> tuple[str, JobMap | None]:
        try:
            return id, (await session.ask("GetJob", id=id))["job"]
        except HubqueueError:
            return id, None

    return list(await asyncio.gather(*map(one, ids)))


async def ask(request: web.Request) -> web.Response:
    """Ask before a deed that cannot be undone."""
    job, deed = await _job(request), deed_of(request)
    return confirm(
        request,
        f"job.{deed.name}",
        action=_at(request, f"/job/do/{deed.name}", job.id),
        count=int(deed.fits(job)),
        back=_at(request, "/job", job.id),
        queue=job.queue,
    )


async def act(request: web.Request) -> web.Response:
    """Do it. A job that this removes has no page any more: on to its queue."""
    job, deed = await _job(request), deed_of(request)
    result = await do(session_of(request), deed, [job])
    gone = result.done and _removes(deed)
    return told(request, deed, result, job.queue, to=f"/queues/{job.queue}" if gone else None)


def _removes(deed: BulkAction) -> bool:
    return deed.name in ("cancel", "remove")


async def change_form(request: web.Request) -> web.Response:
    """The form for one of CHANGES."""
    job, what = await _job(request), _change(request)
    return page(
        request,
        "job_change.html",
        job=job,
        what=what,
        data=payload(job.data),
        action=_at(request, f"/job/change/{what}", job.id),
        back=_at(request, "/job", job.id),
    )


async def change(request: web.Request) -> web.Response:
    """Other data, another priority, another time."""
    session, id, what, form = session_of(request), request.query.get("id", ""), _change(request), await request.post()
    if what == "data":
        data = packed_text(inputs.text(form, "data"))
        await session.ask("Update", id=id, **({} if data is None else {"data": data}))
    elif what == "priority":
        priority = inputs.whole(form, "priority")
        if priority is None:
            raise Invalid("priority: a number is missing")
        await session.ask("ChangePriority", id=id, priority=priority)
    else:
        await session.ask("Snooze", id=id, delay=inputs.duration_ms(form, "delay") or 0)
    return done(request, f"done.change.{what}")


def _change(request: web.Request) -> str:
    what = request.match_info["what"]
    if what not in CHANGES:
        raise NotFound("There is no such action")
    return what


def _at(request: web.Request, path: str, id: str) -> str:
    return url(request, path, {"id": id})


ROUTES: Final = (
    web.get("/job", show),
    web.get("/job/do/{deed}", ask),
    web.post("/job/do/{deed}", act),
    web.get("/job/change/{what}", change_form),
    web.post("/job/change/{what}", change),
)
