"""How a request reached us: from where, below which path, and what it may do. Set by the guard, read by handlers."""

from __future__ import annotations

from typing import Final, cast

from aiohttp import web

from hubqueue.servers.door import Door
from hubqueue.servers.http.session import HttpSession

API: Final = "/api/"
WEBSOCKET: Final = "/api/v1/ws"  # open to strangers: their first message shows the token
DOOR: Final = web.AppKey("door", Door)
SESSION: Final = "session"
BASE: Final = "base"  # what every link starts with: "" or the ingress path


def is_api(request: web.BaseRequest) -> bool:
    """Whether this is for programs; everything else is for people."""
    return request.path.startswith(API)


def session_of(request: web.Request) -> HttpSession:
    """The client that sent this request: asks commands with the grant it has shown."""
    return cast(HttpSession, request[SESSION])
