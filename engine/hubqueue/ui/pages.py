"""The dashboard as the HTTP door mounts it: every page's routes, who may see them, and how their errors look."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from hubqueue.ui import (
    assets,
    dead,
    forwarders,
    job,
    login,
    overview,
    queue,
    requestcontext,
    rules,
    schedules,
    settings,
)
from hubqueue.ui.failures import failures, for_people
from hubqueue.ui.text import LANGUAGES

A_YEAR_S: Final = 365 * 24 * 3600
CHOICES: Final = {"lang": (requestcontext.LANGUAGE, LANGUAGES), "theme": (requestcontext.THEME, requestcontext.THEMES)}
OPEN: Final = ("/login", "/static/")  # what a stranger may see

ROUTES: Final = (
    *assets.ROUTES,
    *login.ROUTES,
    *overview.ROUTES,
    *queue.ROUTES,
    *job.ROUTES,
    *dead.ROUTES,
    *schedules.ROUTES,
    *forwarders.ROUTES,
    *rules.ROUTES,
    *settings.ROUTES,
)


def routes(app: web.Application) -> None:
    """Add the pages to an application whose guard gives every request its session."""
    app.middlewares.insert(0, failures)  # outermost: it shows the guard's errors too
    app.middlewares.append(visit)  # innermost: the guard has been passed
    app.add_routes(ROUTES)


@web.middleware
async def visit(request: web.Request, handler: Any) -> web.StreamResponse:
    """Keep a visitor's choice of language and theme; send strangers to the login page."""
    if not for_people(request) or request.path.startswith(OPEN[1]):
        return await handler(request)  # type: ignore[no-any-return]
    if request.method == "GET" and not CHOICES.keys().isdisjoint(request.query):
        return _chosen(request)
    if requestcontext.session_of(request).grant is None and not request.path.startswith(OPEN):
        return _to_login(request)
    return await handler(request)  # type: ignore[no-any-return]


def _chosen(request: web.Request) -> web.Response:
    rest = {name: value for name, value in request.query.items() if name not in CHOICES}
    answer = web.Response(status=303, headers={"Location": requestcontext.url(request, request.path, rest)})
    for name, (cookie, known) in CHOICES.items():
        if request.query.get(name) in known:
            requestcontext.remember(request, answer, cookie, request.query[name], max_age_s=A_YEAR_S)
    return answer


def _to_login(request: web.Request) -> web.Response:
    came_for = None if request.path_qs == "/" or request.method != "GET" else request.path_qs
    login = requestcontext.url(request, "/login", {"next": came_for})
    if requestcontext.swaps(request):
        return web.Response(status=401, headers={"HX-Redirect": login})
    return web.Response(status=303, headers={"Location": login})
