"""`GET /health`: the process answers. `GET /ready`: it takes jobs, and its links are up.

Both answer strangers, since a container's check has no token; those hear no more than yes or no.
"""

from __future__ import annotations

import msgspec
from aiohttp import web

from hubqueue.commands.health import health
from hubqueue.model.access import Scope
from hubqueue.servers.http.requestcontext import CONTEXT, session_of

_json = msgspec.json.Encoder().encode


def health_routes(app: web.Application) -> None:
    """Mount both."""
    app.router.add_get("/health", alive)
    app.router.add_get("/ready", ready)


async def alive(request: web.Request) -> web.Response:
    return web.Response(body=_json({"status": "ok"}), content_type="application/json")


async def ready(request: web.Request) -> web.Response:
    """`?links=no` leaves the links out: an uplink that is down is no reason to send producers elsewhere."""
    found = await health(request.app[CONTEXT], links=request.query.get("links", "yes") != "no")
    grant = session_of(request).grant
    if grant is None or not grant.allows(Scope.READ) or grant.queues is not None:
        del found["checks"]
    return web.Response(
        body=_json(found),
        status=200 if found["ready"] else 503,
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )
