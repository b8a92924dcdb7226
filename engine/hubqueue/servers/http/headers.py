"""What every answer of the HTTP listener says about itself: pages, REST, static files and errors alike.

Scripts and styles come from our own files only, so no inline code of anybody else ever runs. Handlers may set their
own Cache-Control; nothing else here is theirs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from aiohttp import hdrs, web

CSP: Final = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "font-src 'self'",
    "connect-src 'self'",
    "manifest-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
)
OWN_FRAMES: Final = "frame-ancestors 'self'"
FIXED: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # no-referrer would turn the Origin of our own forms into null
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    hdrs.SERVER: "hubqueue",
}


def security_headers(*, framed: bool) -> Callable[[web.Request, web.StreamResponse], Awaitable[None]]:
    """The signal handler that adds them. framed: Home Assistant shows the pages in a frame (ingress)."""
    policy = "; ".join(CSP if framed else (*CSP, OWN_FRAMES))
    fixed = {**FIXED, "Content-Security-Policy": policy}
    if not framed:
        fixed["X-Frame-Options"] = "SAMEORIGIN"

    async def add(request: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(fixed)
        response.headers.setdefault(hdrs.CACHE_CONTROL, "no-store")

    return add
