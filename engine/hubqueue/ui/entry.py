"""The login page. The form goes to the HTTP door (POST /login), which keeps the session."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from hubqueue.ui import visitor
from hubqueue.ui.render import page


async def show(request: web.Request) -> web.Response:
    """The form; whoever is in already goes on to the first page."""
    if visitor.session_of(request).grant is not None:
        return web.Response(status=303, headers={"Location": visitor.url(request, "/")})
    failed = "failed" in request.query
    return page(request, "login.html", next=request.query.get("next", "/"), failed=failed)


ROUTES: Final = (web.get("/login", show),)
