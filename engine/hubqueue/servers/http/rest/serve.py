"""Handlers made of the table of routes, mounted into the application of an HTTP server."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable

from aiohttp import web

from hubqueue.errors import HubqueueError
from hubqueue.servers.http.requestcontext import CONTEXT
from hubqueue.servers.http.rest.answers import answered
from hubqueue.servers.http.rest.openapi import document
from hubqueue.servers.http.rest.presence import told
from hubqueue.servers.http.rest.reading import JSON, read
from hubqueue.servers.http.rest.route import PREFIX, Answered, Route, ask
from hubqueue.servers.http.rest.routes import ROUTES

Handle = Callable[[web.Request], Awaitable[web.StreamResponse]]


def rest(app: web.Application) -> None:
    """Add every route, and its description."""
    methods: defaultdict[str, list[tuple[str, Handle]]] = defaultdict(list)
    for route in ROUTES:
        methods[PREFIX + route.path].append((route.method, _handler(route)))
    methods[f"{PREFIX}/openapi.json"].append(("GET", _openapi))
    for path, handlers in methods.items():
        resource = app.router.add_resource(path)
        for method, handle in handlers:
            resource.add_route(method, handle)
            if method == "GET":
                resource.add_route("HEAD", handle)
        resource.add_route("OPTIONS", _options([method for method, _ in handlers]))


def _handler(route: Route) -> Handle:
    run = route.run or ask

    async def handle(request: web.Request) -> web.StreamResponse:
        asked = await read(route, request)
        try:
            result = await run(asked)
        except HubqueueError as error:
            raise await told(asked, error) from error
        if isinstance(result, web.StreamResponse):
            return result
        if isinstance(result, Answered):
            response = await answered(result.result, result.status)
        else:
            response = await answered(None if route.reply is None else result, route.status)
        if asked.once is not None and asked.once.replayed:
            response.headers["Idempotency-Replayed"] = "true"
        return response

    return handle


def _options(methods: list[str]) -> Handle:
    allowed = sorted({*methods, "OPTIONS", *(["HEAD"] if "GET" in methods else [])})

    async def handle(request: web.Request) -> web.StreamResponse:
        return web.Response(status=204, headers={"Allow": ", ".join(allowed)})

    return handle


async def _openapi(request: web.Request) -> web.StreamResponse:
    body = document(request.app[CONTEXT].version)
    return web.Response(body=body, content_type=JSON)
