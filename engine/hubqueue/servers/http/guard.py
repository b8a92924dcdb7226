"""Who sends a request: a token in its Authorization header, or the Supervisor's ingress."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from hubqueue.errors import Forbidden, NotAuthenticated
from hubqueue.model.access import EVERYTHING, Grant
from hubqueue.servers.http.reach import BASE, DOOR, SESSION, WEBSOCKET, is_api
from hubqueue.servers.http.session import HttpSession
from hubqueue.servers.http.settings import HttpSettings

SETTINGS: Final = web.AppKey("settings", HttpSettings)


@web.middleware
async def guard(request: web.Request, handler: Any) -> web.StreamResponse:
    """Give the request its session. Errors: NotAuthenticated, Forbidden."""
    settings, door = request.app[SETTINGS], request.app[DOOR]
    address = request.remote or "local"
    request[BASE] = ""
    if settings.trusted_proxy is not None:
        if address != settings.trusted_proxy:
            raise Forbidden("Only the Supervisor may come in here")
        request[BASE] = request.headers.get("X-Ingress-Path", "")
        grant: Grant | None = EVERYTHING
    elif door.gate.open:
        grant = EVERYTHING
    else:
        grant = await _shown(request, address)
    request[SESSION] = HttpSession(door, address, grant)
    if grant is None and is_api(request) and request.path != WEBSOCKET:
        raise NotAuthenticated
    return await handler(request)  # type: ignore[no-any-return]


async def _shown(request: web.Request, address: str) -> Grant | None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if not token or scheme.lower() != "bearer":
        return None
    gate = request.app[DOOR].gate
    gate.check_room(address)
    grant = gate.grant(token.strip())
    if grant is None:
        await gate.refuse(address, "HTTP")
    gate.succeeded(address)
    return grant
