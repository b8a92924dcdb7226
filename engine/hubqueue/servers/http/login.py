"""POST /login and POST /logout: a person shows a token once and gets a cookie for it. The page itself is the ui's."""

from __future__ import annotations

import asyncio
from typing import Final
from urllib.parse import parse_qs, quote

from aiohttp import web

from hubqueue.errors import NotAuthenticated, PayloadTooLarge, TimedOut
from hubqueue.servers.http.guard import LOGINS, admit_token
from hubqueue.servers.http.logins import MAX_AGE_S
from hubqueue.servers.http.requestcontext import BASE, CONTEXT, session_of

MAX_FORM_BYTES: Final = 16 * 1024  # a stranger sends it
FORM_S: Final = 30.0


def login_routes(app: web.Application) -> None:
    """Mount them."""
    app.router.add_post("/login", log_in)
    app.router.add_post("/logout", log_out)


async def log_in(request: web.Request) -> web.Response:
    """Errors: Forbidden, Busy, PayloadTooLarge. A wrong token leads back to the form."""
    form = await _small_form(request)
    wanted = _inside(form.get("next", ""))
    if request.app[CONTEXT].authenticator.open:
        return _see(request, wanted)
    try:
        grant = await admit_token(request, session_of(request).address, form.get("token", "").strip())
    except NotAuthenticated:
        return _see(request, f"/login?failed=1&next={quote(wanted)}")
    logins = request.app[LOGINS]
    logins.end(request.cookies.get(logins.cookie, ""))
    answer = _see(request, wanted)
    answer.set_cookie(
        logins.cookie,
        logins.begin(grant).id,
        path="/",
        max_age=int(MAX_AGE_S),
        httponly=True,
        samesite="Strict",
        secure=request.secure,
    )
    return answer


async def log_out(request: web.Request) -> web.Response:
    logins = request.app[LOGINS]
    logins.end(request.cookies.get(logins.cookie, ""))
    answer = _see(request, "/login")
    answer.del_cookie(logins.cookie, path="/", httponly=True, samesite="Strict", secure=request.secure)
    return answer


def _see(request: web.Request, path: str) -> web.Response:
    """Lead the browser on; htmx too, which would follow a redirect by itself and show its page as a piece."""
    target = request[BASE] + path
    if request.headers.get("HX-Request") == "true":
        return web.Response(status=204, headers={"HX-Redirect": target})
    return web.Response(status=303, headers={"Location": target})


def _inside(path: str) -> str:
    """The page that was asked for before the login, if it is one of ours."""
    plain = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isascii() and path.isprintable()
    return path if plain and not path.startswith(("/login", "/logout")) else "/"


async def _small_form(request: web.Request) -> dict[str, str]:
    body = bytearray()
    if request.content.at_eof():  # the guard has read it, to look for the CSRF token of a login that there is
        body += await request.read()
    try:
        async with asyncio.timeout(FORM_S):
            async for chunk in request.content.iter_chunked(MAX_FORM_BYTES):
                body += chunk
                if len(body) > MAX_FORM_BYTES:
                    raise PayloadTooLarge("The form is too large")
    except TimeoutError:
        raise TimedOut("The form takes too long to arrive") from None
    fields = parse_qs(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=20)
    return {name: values[0] for name, values in fields.items()}
