"""Who sends a request: a token in its Authorization header, a login at the page, or the Supervisor's ingress."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

from aiohttp import hdrs, web

from hubqueue.commands.call import LAST_WORDS_S
from hubqueue.errors import Forbidden, Invalid, NotAuthenticated
from hubqueue.model.access import EVERYTHING, Grant
from hubqueue.servers.http.listener import Listener
from hubqueue.servers.http.logins import Login, Logins
from hubqueue.servers.http.origin import changes, check_host, check_site
from hubqueue.servers.http.requestcontext import BASE, CONTEXT, CSRF, SESSION, is_api, is_open
from hubqueue.servers.http.running import Running
from hubqueue.servers.http.session import HttpSession
from hubqueue.servers.http.settings import HttpSettings

SETTINGS: Final = web.AppKey("settings", HttpSettings)
LOGINS: Final = web.AppKey("logins", Logins)
LISTENER: Final = web.AppKey("listener", Listener)
RUNNING: Final = web.AppKey("running", Running)

CSRF_HEADER: Final = "X-CSRF-Token"
CSRF_FIELD: Final = "csrf"
FORMS: Final = ("application/x-www-form-urlencoded", "multipart/form-data")

INGRESS_PATH: Final = "X-Ingress-Path"
USER: Final = ("X-Remote-User-Display-Name", "X-Remote-User-Name")
MAX_USER_CHARS: Final = 100
# goes into links and cookies: a path of plain segments, not "//host" or anything that ends an attribute or header
_PATH: Final = re.compile(r"(/(?!\.{1,2}(/|\Z))[A-Za-z0-9._~-]+)*/?\Z")


class Visitor(NamedTuple):
    """Who it is, as far as has been shown."""

    grant: Grant | None
    user: str | None = None
    csrf: str = ""


STRANGER: Final = Visitor(None)


@web.middleware
async def guard(request: web.Request, handler: Any) -> web.StreamResponse:
    """Give the request its session. Errors: NotAuthenticated, Forbidden, Busy, Invalid."""
    context = request.app[CONTEXT]
    request.app[LISTENER].heard(request)
    address = _plain(request.remote or "local")
    request[BASE] = ""
    visitor = await _visitor(request, address)
    request[CSRF] = visitor.csrf
    session = request[SESSION] = HttpSession(context, address, visitor.grant, visitor.user)
    if visitor.grant is None and is_api(request) and not is_open(request):
        raise NotAuthenticated
    with request.app[RUNNING].one(session), _while_good(session, visitor.grant):
        return await handler(request)  # type: ignore[no-any-return]


@contextmanager
def _while_good(session: HttpSession, grant: Grant | None) -> Iterator[None]:
    """What runs here (long-polls, streams, WebSockets) is ended when its token is revoked."""
    if grant is None or grant is EVERYTHING:
        yield
        return
    task, loop = asyncio.current_task(), asyncio.get_running_loop()
    assert task is not None
    ends: list[asyncio.TimerHandle] = []

    def revoked() -> None:
        session.revoked()
        ends.append(loop.call_later(LAST_WORDS_S, task.cancel))

    unwatch = session.context.authenticator.watch(grant, revoked)
    try:
        yield
    finally:
        unwatch()
        for end in ends:  # the connection may serve others
            end.cancel()


async def _visitor(request: web.Request, address: str) -> Visitor:
    settings, authenticator = request.app[SETTINGS], request.app[CONTEXT].authenticator
    if settings.trusted_proxy is not None:
        return _by_ingress(request, address, settings.trusted_proxy)
    if authenticator.open:
        check_host(request, settings.names)
        if changes(request):
            check_site(request, settings.names)
        return Visitor(EVERYTHING)
    scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    if token and scheme.lower() == "bearer":
        return Visitor(await admit_token(request, address, token.strip()))
    login = request.app[LOGINS].of(request)
    if changes(request):
        check_site(request, settings.names)
        if login is not None:
            await _check_csrf(request, login)
    return STRANGER if login is None else Visitor(login.grant, login.grant.name or None, login.csrf)


async def admit_token(request: web.Request, address: str, token: str) -> Grant:
    """What the token is good for. Errors: NotAuthenticated after a while, Busy."""
    authenticator = request.app[CONTEXT].authenticator
    authenticator.check_room(address)
    grant = authenticator.grant(token)
    if grant is None:
        await authenticator.refuse(address, "HTTP")
    authenticator.succeeded(address)
    return grant


def _by_ingress(request: web.Request, address: str, trusted: str) -> Visitor:
    if address != _plain(trusted):
        raise Forbidden("Only the Supervisor may come in here")
    path = request.headers.get(INGRESS_PATH, "")
    if _PATH.match(path) is None:
        raise Invalid(f"{INGRESS_PATH} is not a path")
    request[BASE] = path.rstrip("/")
    if changes(request):
        check_site(request, proxied=True)
    name = next((request.headers[header] for header in USER if request.headers.get(header)), "")
    shown = "".join(char for char in name if char.isprintable())[:MAX_USER_CHARS]
    return Visitor(EVERYTHING, shown or None)


async def _check_csrf(request: web.Request, login: Login) -> None:
    """A WebSocket cannot send it; there the check of its origin must do."""
    if request.headers.get(hdrs.UPGRADE, "").lower() == "websocket":
        return
    sent = request.headers.get(CSRF_HEADER)
    if sent is None and request.content_type in FORMS:
        field = (await request.post()).get(CSRF_FIELD)
        sent = field if isinstance(field, str) else None
    if sent is None or not hmac.compare_digest(sent.encode("utf-8", "replace"), login.csrf.encode()):
        raise Forbidden("The form is too old or not from here", hint="load the page again and try once more")


def _plain(address: str) -> str:
    """IPv4 as such, where a listener on :: shows it as ::ffff:1.2.3.4."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    mapped = getattr(parsed, "ipv4_mapped", None)
    return str(mapped or parsed)
