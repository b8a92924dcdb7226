"""Who looks at a page, from where and how: what the HTTP door has put into the request, and the visitor's choices.

The door gives every request a session (asks commands) and a base (what every link starts with).
"""

from __future__ import annotations

from typing import Any, Final, Protocol, cast
from urllib.parse import quote, urlencode

from aiohttp import web

from hubqueue.model.access import Grant, Scope

LANGUAGE: Final = "hubqueue_lang"  # cookies
THEME: Final = "hubqueue_theme"
THEMES: Final = ("auto", "light", "dark")


class Session(Protocol):
    """The client that a page is rendered for."""

    @property
    def grant(self) -> Grant | None:
        """What it may do; None: a stranger."""

    async def ask(self, name: str, /, **fields: Any) -> dict[str, Any]:
        """Run the command of this name; the fields of its reply. Errors: those of the command."""


def session_of(request: web.Request) -> Session:
    """The client that sent this request."""
    return cast(Session, request["session"])


def may(request: web.Request, scope: Scope | str) -> bool:
    """Whether this visitor's token is good for a scope."""
    session = request.get("session")
    grant = None if session is None else session.grant
    return grant is not None and grant.allows(Scope(scope))


def base_of(request: web.Request) -> str:
    """What every link starts with: "" or the ingress path."""
    return cast(str, request.get("base", ""))


def url(request: web.Request, path: str, query: dict[str, Any] | None = None) -> str:
    """The address of one of our pages. The path is quoted; what is None in the query is left out."""
    wanted = {name: value for name, value in (query or {}).items() if value not in (None, "")}
    return base_of(request) + quote(path, safe="/:@~") + (f"?{urlencode(wanted, doseq=True)}" if wanted else "")


def swaps(request: web.Request) -> bool:
    """Whether htmx asks, which puts a piece into the page that is there."""
    return request.headers.get("HX-Request") == "true"


def theme_of(request: web.Request) -> str:
    chosen = request.cookies.get(THEME, "auto")
    return chosen if chosen in THEMES else "auto"


def remember(request: web.Request, answer: web.StreamResponse, name: str, value: str, *, max_age_s: int) -> None:
    """Keep a choice in a cookie of this visitor."""
    answer.set_cookie(
        name,
        value,
        path=base_of(request) + "/",
        max_age=max_age_s,
        httponly=True,
        secure=request.secure,
        samesite="Strict",
    )
