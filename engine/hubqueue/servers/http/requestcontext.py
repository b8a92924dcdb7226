"""How a request reached us: from where, below which path, and what it may do. Set by the guard, read by handlers."""

from __future__ import annotations

import warnings
from typing import Final, cast

from aiohttp import web

from hubqueue.commands.call import CallContext
from hubqueue.servers.http.session import HttpSession

API: Final = "/api/"
WEBSOCKET: Final = "/api/v1/ws"  # open to strangers: their first message shows the token
CONTEXT: Final = web.AppKey("context", CallContext)
SESSION: Final = "session"
BASE: Final = "base"  # what every link starts with: "" or the ingress path
CSRF: Final = "csrf"  # what forms send along, "" where nothing is needed
PROGRAMS: Final = (API, "/metrics", "/health", "/ready")
OPEN: Final = (WEBSOCKET, "/health", "/ready")  # answered to strangers too

# The keys are words, so that the pages read them too without importing this layer; aiohttp would rather see objects.
warnings.filterwarnings("ignore", category=web.NotAppKeyWarning)


def is_api(request: web.BaseRequest) -> bool:
    """Whether this is for programs; everything else is for people."""
    return request.path.startswith(PROGRAMS)


def is_open(request: web.BaseRequest) -> bool:
    """Whether strangers get an answer; what it tells them is the handler's care."""
    return request.path in OPEN


def session_of(request: web.Request) -> HttpSession:
    """The client that sent this request: asks commands with the grant it has shown."""
    return cast(HttpSession, request[SESSION])
