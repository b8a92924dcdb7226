"""Forwarders: where they send to, how the link is, how far they are behind; pause, drain, make and delete them."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from hubqueue.errors import Invalid, NotFound
from hubqueue.ui import inputs
from hubqueue.ui.render import confirm, done, page
from hubqueue.ui.requestcontext import session_of, swaps, url

BLANK: Final[dict[str, Any]] = {
    "name": "",
    "queue": "",
    "to": "tls://",
    "target": "",
    "schedule": None,
    "rate": None,
    "batch": 100,
    "concurrency": 1,
    "durable": True,
    "hasToken": False,
    "hasCaCert": False,
    "hasClientCert": False,
    "serverName": None,
    "verify": True,
}
KEPT: Final = ("backoff", "backoffCap", "writeTimeout")  # not in the form
VERBS: Final = {"pause": "ForwarderPause", "resume": "ForwarderResume", "drain": "ForwarderDrain"}


async def show(request: web.Request) -> web.Response:
    """The list, or its live part for htmx."""
    found = (await session_of(request).ask("Forwarders"))["forwarders"]
    rows = [(each, tone(each)) for each in found]
    return page(request, "forwarders_state.html" if swaps(request) else "forwarders.html", rows=rows)


def tone(one: dict[str, Any]) -> tuple[str, str]:
    """The word for how it is, `link.<word>` of the texts, and its colour."""
    if one["paused"]:
        return "paused", "warn"
    if one["draining"]:
        return "draining", "ok"
    if not one["open"]:
        return "closed", "calm"
    if one["link"] == "down":
        return ("refused", "bad") if one["alert"] else ("down", "bad")
    return (one["link"], "ok" if one["link"] == "up" else "warn")


async def act(request: web.Request) -> web.Response:
    """Pause, resume, or drain now."""
    verb, name = request.match_info["verb"], request.query.get("name", "")
    if verb not in VERBS:
        raise NotFound("There is no such action")
    reply = await session_of(request).ask(VERBS[verb], name=name)
    return done(request, f"done.forwarder.{verb}", name=name, count=reply.get("waiting", 0))


async def form(request: web.Request) -> web.Response:
    """The form for a new one, or for the one named in the address."""
    name = request.query.get("name", "")
    return page(
        request,
        "forwarder_form.html",
        known=bool(name),
        one=await _one(request, name) if name else {**BLANK, "queue": request.query.get("queue", "")},
    )


async def _one(request: web.Request, name: str) -> dict[str, Any]:
    """Errors: NotFound."""
    found = (await session_of(request).ask("Forwarders"))["forwarders"]
    for each in found:
        if each["name"] == name:
            return dict(each)
    raise NotFound(f"There is no forwarder {name!r}")


async def put(request: web.Request) -> web.Response:
    """Make or change one. A secret that is left empty stays as it is."""
    given = await request.post()
    name = inputs.text(given, "name")
    known = await _one(request, name) if inputs.flag(given, "known") else None
    if known is None:
        await _refuse_known(request, name)
    windows = [line.strip() for line in inputs.text(given, "windows").splitlines() if line.strip()]
    fields: dict[str, Any] = {
        "name": name,
        "queue": inputs.text(given, "queue"),
        "to": inputs.text(given, "to"),
        "target": inputs.text(given, "target") or None,
        "token": inputs.text(given, "token") or None,
        "caCert": inputs.text(given, "ca_cert") or None,
        "clientCert": inputs.text(given, "client_cert") or None,
        "serverName": inputs.text(given, "server_name") or None,
        "schedule": {"windows": windows, "timezone": inputs.text(given, "timezone") or None} if windows else None,
        "rate": inputs.number(given, "rate"),
        "batch": inputs.whole(given, "batch"),
        "concurrency": inputs.whole(given, "concurrency"),
        **({} if known is None else {field: known[field] for field in KEPT}),
    }
    sent = {field: value for field, value in fields.items() if value is not None}
    flags = {name: inputs.flag(given, name) for name in ("durable", "verify")}
    await session_of(request).ask("ForwarderPut", **sent, **flags)
    return done(request, "done.forwarder.put", name=name or sent["queue"])


async def _refuse_known(request: web.Request, name: str) -> None:
    found = (await session_of(request).ask("Forwarders"))["forwarders"]
    if name and any(each["name"] == name for each in found):
        raise Invalid(f"name: there is a forwarder {name!r} already", hint="change that one, or choose another name")


async def ask_delete(request: web.Request) -> web.Response:
    one = await _one(request, request.query.get("name", ""))
    return confirm(
        request,
        "forwarder.delete",
        action=url(request, "/forwarders/delete", {"name": one["name"]}),
        back=url(request, "/forwarders"),
        name=one["name"],
        queue=one["queue"],
        waiting=one["waiting"] + one["delayed"],
    )


async def delete(request: web.Request) -> web.Response:
    name = request.query.get("name", "")
    await session_of(request).ask("ForwarderDelete", name=name)
    return done(request, "done.forwarder.delete", name=name)


ROUTES: Final = (
    web.get("/forwarders", show),
    web.get("/forwarders/form", form),
    web.post("/forwarders/put", put),
    web.get("/forwarders/delete", ask_delete),
    web.post("/forwarders/delete", delete),
    web.post("/forwarders/do/{verb}", act),
)
