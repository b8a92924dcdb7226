"""Schedules: when they fire next, run one now, make, change and delete them; what a pattern means while it is typed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

import msgspec
from aiohttp import web

from hubqueue.errors import HubqueueError, Invalid
from hubqueue.model.flatoptions import flat
from hubqueue.model.option import Door
from hubqueue.model.options import said
from hubqueue.model.schedule import zone
from hubqueue.ui import inputs, joboptions
from hubqueue.ui.nextruns import NextRun, cron_fires, every_fires
from hubqueue.ui.payloads import packed_text, payload
from hubqueue.ui.render import confirm, done, page
from hubqueue.ui.requestcontext import session_of, swaps, url
from hubqueue.wire.jobin import JobFields, options_of
from hubqueue.wire.joboptions import BESIDE, job_fields

BLANK: Final[dict[str, Any]] = {
    "queue": "",
    "jobName": "default",
    "schedule": None,
    "timezone": None,
    "zone": None,
    "repeatEvery": None,
    "priority": 0,
    "maxLimit": None,
    "preventOverlap": True,
    "skipMissedOnRestart": True,
    "skipIfNoWorker": False,
}
EXAMPLES: Final = ("0 7 * * *", "*/15 * * * *", "0 22 * * 1-5", "0 3 1 * *")


class Row(msgspec.Struct, frozen=True):
    """One schedule of the list, with its next fires."""

    found: dict[str, Any]
    fires: list[NextRun]


async def show(request: web.Request) -> web.Response:
    """The list, or its live part for htmx."""
    found = (await session_of(request).ask("CronList"))["crons"]
    return page(
        request,
        "schedules_state.html" if swaps(request) else "schedules.html",
        rows=[Row(each, _fires(each)) for each in found],
    )


def _fires(found: dict[str, Any]) -> list[NextRun]:
    """The hub knows the first one; those after it follow from the rule."""
    first, every = found["nextRun"], found["repeatEvery"]
    if first is None:
        return []
    if every is not None:
        return every_fires(int(first), int(every), found["zone"])
    try:
        return cron_fires(found["schedule"], found["zone"], int(first) - 1)
    except Invalid:  # its time zone is not known here any more
        return []


async def form(request: web.Request) -> web.Response:
    """The form for a new schedule, or for the one named in the address."""
    key = request.query.get("name", "")
    found = (await session_of(request).ask("CronGet", name=key))["cron"] if key else BLANK
    every, pattern = found["repeatEvery"], found["schedule"] or EXAMPLES[0]
    zone = found["timezone"] or found["zone"] or await _hub_zone(request)
    return page(
        request,
        "schedule_form.html",
        key=key,
        found=found,
        kind="every" if every is not None else "cron",
        every=inputs.split_ms(every) if every is not None else ("5", "min"),
        fields=joboptions.fields(_given(found), schedule=True),
        data=payload(found.get("data")),
        examples=EXAMPLES,
        pattern=pattern,
        hub_zone=found["zone"] if key and not found["timezone"] else zone,
        preview=_preview(pattern, zone),
    )


async def _hub_zone(request: web.Request) -> str | None:
    """The time zone that the hub reads patterns in, as far as this visitor may know it."""
    try:
        config = (await session_of(request).ask("Config"))["config"]
    except HubqueueError:  # not for everybody, and not in an embedded hub
        return None
    zone: str | None = config.get("hub", {}).get("timezone")
    return zone


async def explain(request: web.Request) -> web.Response:
    """What a pattern that is being typed means: its next fires, or what is wrong with it."""
    given = request.query
    zone = inputs.text(given, "timezone") or inputs.text(given, "hub_zone") or None
    return page(request, "schedule_fires.html", preview=_preview(inputs.text(given, "cron"), zone))


def _preview(pattern: str, timezone: str | None) -> dict[str, Any]:
    try:
        fires = cron_fires(pattern, timezone, int(time.time() * 1000)) if pattern else []
        return {"fires": fires, "zone": timezone or "UTC", "problem": ""}
    except HubqueueError as error:
        return {"fires": [], "zone": "", "problem": error.message.removeprefix("Invalid cron expression: ")}


async def put(request: web.Request) -> web.Response:
    """Make or change one; options that the form does not show stay as they were."""
    session, given = session_of(request), await request.post()
    key = inputs.text(given, "key")
    if not key:
        raise Invalid("name: the schedule needs one")
    old: dict[str, Any] = {}
    if inputs.flag(given, "known"):
        old = (await session.ask("CronGet", name=key))["cron"]
    else:
        await _refuse_known(request, key)
    timezone = inputs.text(given, "timezone") or None
    zone(timezone)
    fields: dict[str, Any] = {
        "name": key,
        "queue": inputs.text(given, "queue"),
        "jobName": inputs.text(given, "job") or "default",
        "data": old.get("data") if inputs.flag(given, "keep_data") else packed_text(inputs.text(given, "data")),
        "maxLimit": inputs.whole(given, "limit"),
        "timezone": timezone,
        "preventOverlap": None if inputs.flag(given, "no_overlap") else False,
        "skipMissedOnRestart": not inputs.flag(given, "make_up"),
        "skipIfNoWorker": inputs.flag(given, "workers_only"),
        **_options(old.get("jobOptions", {}), joboptions.read(given, schedule=True)),
    }
    if inputs.text(given, "kind") == "every":
        fields["repeatEvery"] = inputs.duration_ms(given, "every")
    else:
        fields["schedule"] = inputs.text(given, "cron")
    await session.ask("Cron", **{name: value for name, value in fields.items() if value is not None})
    return done(request, "done.schedule.put", name=key)


def _given(found: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a schedule as it is shown, by the names of the table."""
    fields = {name: found[name] for name in ("priority", *BESIDE) if name in found} | found.get("jobOptions", {})
    job = msgspec.convert(fields, JobFields)
    plain = {"priority": job.priority, "delay": job.delay or None, "attempts": job.max_attempts}
    return {name: value for name, value in plain.items() if value is not None} | said(options_of(job))


def _options(old: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Those that the form shows anew, the others as they were; what is left empty is as the hub has it."""
    job = joboptions.job_of("default", given)
    fields = job_fields(job)
    named: dict[str, Any] = {name: fields.pop(name) for name in ("priority", *BESIDE) if name in fields}
    shown = {each.option.wire for each in flat(Door.FORM)}
    kept = {name: value for name, value in old.items() if name not in shown}
    return {**named, "jobOptions": kept | {name: value for name, value in fields.items() if name != "name"}}


async def _refuse_known(request: web.Request, key: str) -> None:
    found = (await session_of(request).ask("CronList"))["crons"]
    if any(each["name"] == key for each in found):
        raise Invalid(f"name: there is a schedule {key!r} already", hint="change that one, or choose another name")


async def run(request: web.Request) -> web.Response:
    """Its job at once."""
    key = request.query.get("name", "")
    await session_of(request).ask("CronRun", name=key)
    return done(request, "done.schedule.run", name=key)


async def ask_delete(request: web.Request) -> web.Response:
    key = request.query.get("name", "")
    await session_of(request).ask("CronGet", name=key)
    return confirm(
        request,
        "schedule.delete",
        action=url(request, "/schedules/delete", {"name": key}),
        back=url(request, "/schedules"),
        name=key,
    )


async def delete(request: web.Request) -> web.Response:
    key = request.query.get("name", "")
    await session_of(request).ask("CronDelete", name=key)
    return done(request, "done.schedule.delete", name=key)


ROUTES: Final = (
    web.get("/schedules", show),
    web.get("/schedules/form", form),
    web.get("/schedules/explain", explain),
    web.post("/schedules/put", put),
    web.post("/schedules/run", run),
    web.get("/schedules/delete", ask_delete),
    web.post("/schedules/delete", delete),
)
