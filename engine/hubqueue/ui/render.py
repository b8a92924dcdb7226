"""Templates to answers: one environment, compiled once, everything escaped.

`page` renders a whole page or, for htmx, the piece that its template is; `done` answers a form that changed
something; `confirm` asks before something is destroyed and says how many jobs it touches.
"""

from __future__ import annotations

import base64
import binascii
import json
import time
from collections.abc import Mapping
from functools import cache, partial
from http import HTTPStatus
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import jinja2
import msgspec
from aiohttp import web
from markupsafe import Markup, escape

from hubqueue.model.job import ENDLESS
from hubqueue.ui import formats, requestcontext
from hubqueue.ui.assets import asset_path
from hubqueue.ui.text import Texts, language_of, texts

FOLDER: Final = Path(__file__).with_name("templates")
VERSION: Final = version("hubqueue")
FLASH: Final = "hubqueue_flash"  # cookie: what the next page tells, once
FLASH_S: Final = 30  # the next page comes at once, or the message is no news any more

# path, key of its name, icon: the navigation in its order
PAGES: Final = (
    ("/", "nav.overview", "overview"),
    ("/dead", "nav.dead", "dead"),
    ("/schedules", "nav.schedules", "schedules"),
    ("/forwarders", "nav.forwarders", "forwarders"),
    ("/rules", "nav.rules", "rules"),
    ("/settings", "nav.settings", "settings"),
)


class Flash(msgspec.Struct, frozen=True):
    """A message for the next page. kind: ok, warn or bad."""

    key: str
    values: dict[str, str | int]
    kind: str = "ok"


@cache
def environment() -> jinja2.Environment:
    """The templates of every page, all compiled: slow the first time."""
    made = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        cache_size=-1,
    )
    made.filters |= {
        "machine": formats.machine,
        "absolute": formats.absolute,
        **{name: _localized(getattr(formats, name)) for name in ("number", "rate", "size", "duration")},
        "ago": _ago,
        "phrase": _phrase,
    }
    made.globals["endless"] = ENDLESS
    for name in made.list_templates():
        made.get_template(name)
    return made


def _localized(write: Any) -> Any:
    @jinja2.pass_context
    def localized(context: jinja2.runtime.Context, *arguments: Any) -> str:
        return str(write(context["t"], *arguments))

    return localized


@jinja2.pass_context
def _ago(context: jinja2.runtime.Context, at_ms: float) -> str:
    return formats.ago(context["t"], at_ms, context["now_ms"])


@jinja2.pass_context
def _phrase(context: jinja2.runtime.Context, key: str, values: dict[str, Any]) -> Markup:
    """A text with values that are written as a reader wants them; times become local ones in the browser."""
    t: Texts = context["t"]
    text = t.form(key, values)
    return Markup(str(escape(text))).format_map({name: _element(t, value) for name, value in values.items()})


def _element(t: Texts, value: object) -> str | Markup:
    match value:
        case formats.Moment(at_ms=at_ms):
            clock = f"{formats.moment(at_ms):%H:%M} UTC"
            return Markup('<time datetime="{}" data-clock>{}</time>').format(formats.machine(at_ms), clock)
        case formats.Lasting(ms=ms):
            return formats.duration(t, ms)
        case formats.Size(count=count):
            return formats.size(t, count)
        case int():
            return t.number(value)
        case _:
            return str(value)


def texts_of(request: web.Request) -> Texts:
    """The texts in this visitor's language."""
    return texts(language_of(request.cookies.get(requestcontext.LANGUAGE), request.headers.get("Accept-Language", "")))


def page(request: web.Request, template: str, *, status: int = 200, **values: Any) -> web.Response:
    """Render a template. Its values are those given, and what every page has (see templates/base.html)."""
    flash = None if requestcontext.swaps(request) else _flash(request)
    text = environment().get_template(template).render(**_shared(request), flash=flash, **values)
    answer = web.Response(text=text, status=status, content_type="text/html")
    answer.headers.setdefault("Cache-Control", "no-store")
    answer.headers["Vary"] = "HX-Request, Accept-Language, Cookie"
    if flash is not None:
        answer.del_cookie(FLASH, path=requestcontext.base_of(request) + "/")
    return answer


def _shared(request: web.Request) -> dict[str, Any]:
    t = texts_of(request)
    return {
        "t": t,
        "lang": t.language,
        "theme": requestcontext.theme_of(request),
        "themes": requestcontext.THEMES,
        "url": partial(requestcontext.url, request),
        "asset": lambda name: requestcontext.base_of(request) + asset_path(name),
        "may": partial(requestcontext.may, request),
        "pages": PAGES,
        "path": request.path,
        "here": partial(_here, request),
        "csrf": request.get("csrf", ""),
        "ingress": requestcontext.base_of(request) != "",
        "swaps": requestcontext.swaps(request),
        "now_ms": time.time() * 1000,
        "version": VERSION,
    }


def _here(request: web.Request, **changed: Any) -> str:
    """This page with another choice in its query."""
    return requestcontext.url(request, request.path, {**request.query, **changed})


def _flash(request: web.Request) -> Flash | None:
    cookie = request.cookies.get(FLASH)
    if cookie is None:
        return None
    try:
        flash = msgspec.json.decode(base64.urlsafe_b64decode(cookie), type=Flash)
    except (msgspec.MsgspecError, binascii.Error, ValueError):
        return None  # not one of ours
    return flash if flash.key.startswith("done.") and flash.key in texts_of(request) else None


def done(
    request: web.Request, key: str, *, to: str | None = None, kind: str = "ok", **values: str | int
) -> web.Response:
    """Answer a form that changed something, with a message: `done.<what>` of the texts.

    to: the page to go to; None stays on the page that htmx shows, which is brought up to date. A browser without
    scripts goes to `to` or back to where it came from.
    """
    if requestcontext.swaps(request) and to is None:
        told = {"hubqueue:message": {"text": texts_of(request)(key, **values), "kind": kind}, "hubqueue:changed": ""}
        return web.Response(status=HTTPStatus.NO_CONTENT, headers={"HX-Trigger": json.dumps(told)})
    target = (
        requestcontext.url(request, to)
        if to is not None
        else request.headers.get("Referer", requestcontext.url(request, "/"))
    )
    if requestcontext.swaps(request):
        answer = web.Response(status=HTTPStatus.NO_CONTENT, headers={"HX-Redirect": target})
    else:
        answer = web.Response(status=HTTPStatus.SEE_OTHER, headers={"Location": target})
    flash = base64.urlsafe_b64encode(msgspec.json.encode(Flash(key, values, kind))).decode()
    requestcontext.remember(request, answer, FLASH, flash, max_age_s=FLASH_S)
    return answer


def confirm(
    request: web.Request,
    what: str,
    *,
    action: str,
    count: int | None = None,
    fields: Mapping[str, str | list[str]] | None = None,
    back: str = "/",
    tone: str = "danger",
    **values: str | int,
) -> web.Response:
    """Ask before something is done: `confirm.<what>.{title,text,button}` of the texts.

    action: where the form goes. count: how many jobs it touches, counted now. fields: hidden ones of the form.
    back: where "cancel" leads without scripts. tone: the button's, danger or primary.
    """
    given = values if count is None else {**values, "count": count}
    return page(
        request,
        "confirm.html",
        what=what,
        action=action,
        fields=fields or {},
        back=back,
        tone=tone,
        values=given,
        count=count,
    )
