"""The page of one queue: its states, its limits, its jobs, and what can be done to many of them."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from hubqueue.errors import Forbidden, Invalid, NotFound
from hubqueue.model.access import Scope
from hubqueue.model.limits import check_queue
from hubqueue.ui import inputs, joboptions
from hubqueue.ui.alerts import UNROUTABLE
from hubqueue.ui.bulkactions import BULK_ACTIONS, MAX_TOUCHED, STATES, BulkAction, BulkResult, by_id, do
from hubqueue.ui.payloads import packed_text
from hubqueue.ui.render import confirm, done, page
from hubqueue.ui.requestcontext import Session, may, session_of, swaps, url
from hubqueue.ui.searching import PAGE, Search, count, find, search_of, whole_command
from hubqueue.wire.joboptions import job_fields

SWEEPS: Final = {"drain": "Drain", "clear": "Clean", "obliterate": "Obliterate"}
MAX_CLEANED: Final = 100_000  # what one Clean deletes at most
BULK: Final = ("retry", "promote", "cancel", "discard", "remove")  # deeds that are offered for many jobs


async def show(request: web.Request) -> web.Response:
    """The page, or its live part for htmx."""
    session, queue = session_of(request), _queue(request)
    search = search_of(queue, request.query)
    cursor = request.query.get("cursor") or None
    found = await session.ask("FindJobs", **search.fields(), limit=PAGE, cursor=cursor)
    counted = await session.ask("GetJobCounts", queue=queue)
    counts = counted["counts"]
    return page(
        request,
        "queue_state.html" if swaps(request) else "queue.html",
        queue=queue,
        search=search,
        counts=counts,
        tiles=_tiles(counts),
        expired=counted["expired"],
        total=sum(counts.values()),
        paused=(await session.ask("IsPaused", queue=queue))["paused"],
        limits=(await session.ask("GetQueueLimits", queue=queue))["data"]["limits"],
        jobs=found["jobs"],
        older=found["cursor"],
        scanned=found["scanned"],
        cursor=cursor,
        deeds=[deed for deed in map(BULK_ACTIONS.__getitem__, BULK) if _offered(request, search, deed)],
        max_touched=MAX_TOUCHED,
    )


def _tiles(counts: dict[str, int]) -> list[tuple[str, int]]:
    """States with their numbers, in the order of a job's life; a paused queue shows what is ready as `paused`."""
    ready = ["paused"] if counts["paused"] else ["waiting", "prioritized"]
    return [(state, counts[state]) for state in (*ready, *STATES[2:])]


def _offered(request: web.Request, search: Search, deed: BulkAction) -> bool:
    return may(request, deed.scope) and (not search.states or bool(search.states & deed.states))


def _queue(request: web.Request) -> str:
    """The queue of the address. Errors: NotFound for what cannot be one."""
    try:
        return check_queue(request.match_info["queue"])
    except Invalid as error:
        raise NotFound("There is no such queue", hint=error.message) from None


async def enqueue_form(request: web.Request) -> web.Response:
    return page(request, "enqueue.html", queue=_queue(request), fields=joboptions.fields({}))


async def enqueue(request: web.Request) -> web.Response:
    """One job, from the form."""
    queue, form = _queue(request), await request.post()
    data = packed_text(inputs.text(form, "data"))
    job = joboptions.job_of(inputs.text(form, "name") or "default", joboptions.read(form))
    fields = job_fields(job, "jobId") | ({} if data is None else {"data": data})
    reply = await session_of(request).ask("PUSH", queue=queue, **fields)
    return done(request, "done.enqueued", id=reply["id"])


async def pause(request: web.Request) -> web.Response:
    await session_of(request).ask("Pause", queue=_queue(request))
    return done(request, "done.paused", queue=_queue(request))


async def resume(request: web.Request) -> web.Response:
    await session_of(request).ask("Resume", queue=_queue(request))
    return done(request, "done.resumed", queue=_queue(request))


async def limit_form(request: web.Request) -> web.Response:
    queue = _queue(request)
    limits = (await session_of(request).ask("GetQueueLimits", queue=queue))["data"]["limits"]
    per = inputs.split_ms(limits["rateLimit"]["duration"]) if limits["rateLimit"] else ("1", "s")
    return page(request, "limits.html", queue=queue, limits=limits, per=per)


async def limit(request: web.Request) -> web.Response:
    """Rate and concurrency as the form has them; an empty field takes the limit away."""
    session, queue, form = session_of(request), _queue(request), await request.post()
    rate, per_ms = inputs.whole(form, "rate"), inputs.duration_ms(form, "per")
    concurrency = inputs.whole(form, "concurrency")
    for name, value in (("rate", rate), ("concurrency", concurrency)):
        if value is not None and value < 1:
            raise Invalid(f"{name}: at least 1, or empty for no limit", hint="to stop a queue, pause it")
    if rate is None:
        await session.ask("RateLimitClear", queue=queue)
    else:
        await session.ask("RateLimit", queue=queue, limit=rate, duration=per_ms or 1000)
    if concurrency is None:
        await session.ask("ClearConcurrency", queue=queue)
    else:
        await session.ask("SetConcurrency", queue=queue, limit=concurrency)
    return done(request, "done.limited", queue=queue)


async def ask(request: web.Request) -> web.Response:
    """Ask before a deed is done to the ticked jobs, or to all that the filter finds."""
    session, queue, form = session_of(request), _queue(request), await request.post()
    deed, search = deed_of(request), search_of(queue, form)
    ids = [str(id) for id in form.getall("id", ())]
    if not ids and form.get("of") != "all":
        raise Invalid("No job is ticked", hint="tick the jobs first, or take all that the filter finds")
    if ids and form.get("of") != "all":
        number = sum(deed.fits(job) for job in await by_id(session, ids))
        fields: dict[str, Any] = {"id": ids}
    else:
        number, fields = await count(session, search, deed), {"of": "all", **search.query()}
    return confirm(
        request,
        f"job.{deed.name}",
        tone=deed.tone,
        action=url(request, f"/queues/{queue}/do/{deed.name}"),
        count=number,
        fields=fields,
        back=url(request, f"/queues/{queue}"),
        queue=queue,
    )


async def act(request: web.Request) -> web.Response:
    """Do what was confirmed."""
    session, queue, form = session_of(request), _queue(request), await request.post()
    deed, search = deed_of(request), search_of(queue, form)
    command = whole_command(search, deed)
    if form.get("of") != "all":
        result = await do(session, deed, await by_id(session, [str(id) for id in form.getall("id", ())]))
    elif command is not None:
        result = BulkResult.of(await session.ask(command, queue=queue))
    else:
        result = await _sweep(session, search, deed)
    return told(request, deed, result, queue)


async def _sweep(session: Session, search: Search, deed: BulkAction) -> BulkResult:
    """The deed on all that the search finds, MAX_TOUCHED at most, in portions."""
    result, portion, seen = BulkResult(), [], 0
    async for job in find(session, search.narrowed(deed)):
        portion.append(job)
        seen += 1
        if len(portion) == PAGE or seen == MAX_TOUCHED:
            result, portion = result + await do(session, deed, portion), []
        if result.error is not None or seen == MAX_TOUCHED:
            return result
    return result + await do(session, deed, portion)


WHY_CHARS: Final = 200  # of a message, which may travel in a cookie


def told(
    request: web.Request, deed: BulkAction, result: BulkResult, queue: str, *, to: str | None = None
) -> web.Response:
    """What came of a deed, as a message. Errors: the one that stopped it before anything was done."""
    if result.error is not None and not result.done:
        raise result.error
    key, kind = f"done.job.{deed.name}", "ok"
    if result.missed or result.error is not None:
        key, kind = "done.partly", "warn"
    if queue == UNROUTABLE and deed.name == "retry":
        key, kind = "done.routed", "warn" if result.kept else "ok"
    elif result.kept:
        key, kind = "done.again", "warn"
    return done(
        request,
        key,
        to=to,
        kind=kind,
        count=result.done,
        missed=result.missed,
        queue=queue,
        kept=result.kept,
        passed=result.passed,
        why=result.why[:WHY_CHARS],
    )


async def ask_sweep(request: web.Request) -> web.Response:
    """Ask before the queue is emptied, cleaned of completed jobs, or deleted."""
    session, queue, sweep = session_of(request), _queue(request), _sweep_of(request)
    counts = (await session.ask("GetJobCounts", queue=queue))["counts"]
    number = {
        "drain": counts["waiting"] + counts["prioritized"] + counts["paused"] + counts["delayed"],
        "clear": min(counts["completed"], MAX_CLEANED),
        "obliterate": sum(counts.values()),
    }[sweep]
    return confirm(
        request,
        f"queue.{sweep}",
        action=url(request, f"/queues/{queue}/sweep/{sweep}"),
        count=number,
        back=url(request, f"/queues/{queue}"),
        queue=queue,
    )


async def sweep(request: web.Request) -> web.Response:
    """Empty, clean or delete the queue."""
    session, queue, sweep = session_of(request), _queue(request), _sweep_of(request)
    if sweep == "obliterate":
        total = sum((await session.ask("GetJobCounts", queue=queue))["counts"].values())
        await session.ask("Obliterate", queue=queue)
        return done(request, "done.queue.obliterate", to="/", count=total, queue=queue)
    more = {"grace": 0, "state": "completed", "limit": MAX_CLEANED} if sweep == "clear" else {}
    reply = await session.ask(SWEEPS[sweep], queue=queue, **more)
    return done(request, f"done.queue.{sweep}", count=reply["count"], queue=queue)


def deed_of(request: web.Request) -> BulkAction:
    """The deed that the address names. Errors: NotFound, Forbidden."""
    deed = BULK_ACTIONS.get(request.match_info["deed"])
    if deed is None:
        raise NotFound("There is no such action")
    if not may(request, deed.scope):
        raise Forbidden(f"This token lacks the scope '{deed.scope}'")
    return deed


def _sweep_of(request: web.Request) -> str:
    name = request.match_info["sweep"]
    if name not in SWEEPS:
        raise NotFound("There is no such action")
    if not may(request, Scope.ADMIN):
        raise Forbidden("This token lacks the scope 'admin'")
    return name


ROUTES: Final = (
    web.get("/queues/{queue}", show),
    web.get("/queues/{queue}/enqueue", enqueue_form),
    web.post("/queues/{queue}/enqueue", enqueue),
    web.post("/queues/{queue}/pause", pause),
    web.post("/queues/{queue}/resume", resume),
    web.get("/queues/{queue}/limits", limit_form),
    web.post("/queues/{queue}/limits", limit),
    web.post("/queues/{queue}/ask/{deed}", ask),
    web.post("/queues/{queue}/do/{deed}", act),
    web.get("/queues/{queue}/sweep/{sweep}", ask_sweep),
    web.post("/queues/{queue}/sweep/{sweep}", sweep),
)
