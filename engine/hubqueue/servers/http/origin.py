"""Where a browser's request comes from: refuses what another site makes it send (CSRF), and borrowed names (rebinding).

Programs send none of these headers and pass. A browser cannot be made to leave them out or to forge them.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from hubqueue.errors import Forbidden

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
FETCH_SITE: Final = "Sec-Fetch-Site"
OURS: Final = ("same-origin", "none")  # none: the user typed the address
LOCAL: Final = "localhost"


def changes(request: web.BaseRequest) -> bool:
    """Whether the request may change something, or opens a WebSocket, over which anything may be asked."""
    return request.method not in SAFE or request.headers.get(hdrs.UPGRADE, "").lower() == "websocket"


def check_site(request: web.BaseRequest, names: Collection[str] = (), *, proxied: bool = False) -> None:
    """Whether a page of ours has sent this. proxied: what we see is not the host that the browser asked for.

    Errors: Forbidden. Source: Fetch Metadata Request Headers (W3C); RFC 6454, section 7.
    """
    site = request.headers.get(FETCH_SITE)
    if site is not None:
        if site not in OURS:
            raise _foreign()
        return
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is None or proxied:
        return
    asked = request.headers.get(hdrs.HOST, "").lower()
    try:
        sent_from = urlsplit(origin.lower())
        name = sent_from.hostname
    except ValueError:
        raise _foreign() from None
    if not sent_from.netloc or (sent_from.netloc != asked and name not in names):
        raise _foreign()


def check_host(request: web.BaseRequest, names: Collection[str]) -> None:
    """Whether the browser asked for this machine by a name of its own: a page of another site may have pointed its
    own name here, and everything it sends would look like ours.

    Errors: Forbidden.
    """
    asked = request.headers.get(hdrs.HOST)
    if asked is None:  # no browser
        return
    try:
        name = urlsplit(f"//{asked.lower()}").hostname or ""
    except ValueError:
        name = ""
    if not (name in names or name == LOCAL or name.endswith(f".{LOCAL}") or _is_loopback(name)):
        raise Forbidden(
            "This hub does not go by that name", hint="add the name to http.names, or set tokens, then any name will do"
        )


def _is_loopback(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _foreign() -> Forbidden:
    return Forbidden(
        "Another site has sent this request", hint="behind a proxy that changes the host, add its name to http.names"
    )
