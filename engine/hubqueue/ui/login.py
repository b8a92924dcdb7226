"""The login page. Its form goes to the HTTP door, which checks the token and hands out the cookie."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from hubqueue.ui import requestcontext
from hubqueue.ui.render import page


async def show(request: web.Request) -> web.Response:
    """The form; who needs none is led on."""
    if requestcontext.session_of(request).grant is not None:
        return web.Response(status=303, headers={"Location": requestcontext.url(request, "/")})
    failed = "failed" in request.query
    return page(
        request, "login.html", status=401 if failed else 200, next=request.query.get("next", "/"), failed=failed
    )


ROUTES: Final = (web.get("/login", show),)
