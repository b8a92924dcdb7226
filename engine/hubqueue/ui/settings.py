"""Settings: what the hub was told and from where, who may come in, and the job file with its backups."""

from __future__ import annotations

from typing import Any, Final

from aiohttp import web

from hubqueue.errors import Forbidden, Invalid, UnknownCommand
from hubqueue.model.access import Scope
from hubqueue.ui import inputs
from hubqueue.ui.render import confirm, done, page
from hubqueue.ui.requestcontext import Session, session_of, swaps, url

SCOPES: Final = tuple(Scope)
DOCS_AT: Final = "https://github.com/hubqueue/hubqueue/blob/main/docs"
DOCS: Final = ("config", "mqtt", "forwarding", "security", "operations", "dashboard", "http", "metrics", "states")
MAX_BACKUPS: Final = 10  # shown, the newest


async def show(request: web.Request) -> web.Response:
    """The page, or its live part for htmx. What a visitor may not see is left out, with the reason."""
    session = session_of(request)
    config = await _maybe(session, "Config")
    tokens = await _maybe(session, "TokenList")
    storage = await _maybe(session, "StorageStatus")
    backups = ((await _maybe(session, "Backups")) or {}).get("backups", [])
    hello = await session.ask("Hello")
    return page(
        request,
        "settings_state.html" if swaps(request) else "settings.html",
        rows=rows_of(config["config"], config["origins"]) if config else None,
        tokens=tokens["tokens"] if tokens else None,
        storage=storage["data"] if storage else None,
        hello=hello,
        backups=backups[:MAX_BACKUPS],
        older_backups=len(backups[MAX_BACKUPS:]),
        grant=session.grant,
        docs={name: f"{DOCS_AT}/{name}.md" for name in DOCS},
    )


async def _maybe(session: Session, command: str) -> dict[str, Any] | None:
    """The reply, or None for a visitor who may not ask, or a hub that cannot say."""
    try:
        return await session.ask(command)
    except (Forbidden, UnknownCommand):
        return None


def rows_of(config: dict[str, Any], origins: dict[str, str]) -> list[tuple[str, str, str]]:
    """The configuration as (path, value, where it came from; "" for a default)."""
    return [(path, value, origins.get(path, "")) for path, value in _flat(config, "")]


def _flat(value: Any, path: str) -> list[tuple[str, str]]:
    if isinstance(value, dict) and value:
        return [pair for name, item in value.items() for pair in _flat(item, f"{path}.{name}" if path else str(name))]
    if isinstance(value, list) and value and any(isinstance(item, dict | list) for item in value):
        return [pair for place, item in enumerate(value) for pair in _flat(item, f"{path}[{place}]")]
    if isinstance(value, list):
        return [(path, ", ".join(map(str, value)))]
    if isinstance(value, bool):
        return [(path, "yes" if value else "no")]
    return [(path, "" if value is None or value == {} else str(value))]


async def token_form(request: web.Request) -> web.Response:
    return page(request, "token_form.html", scopes=SCOPES)


async def add_token(request: web.Request) -> web.Response:
    """Make a token, and show it this once."""
    given = await request.post()
    name = inputs.text(given, "name")
    if not name:
        raise Invalid("name: the token needs one")
    scopes = [str(scope) for scope in given.getall("scope", ())]
    queues = inputs.text(given, "queues").replace(",", " ").split()
    reply = await session_of(request).ask(
        "TokenAdd", name=name, scopes=scopes, **({"queues": queues} if queues else {})
    )
    return page(request, "token_made.html", name=name, token=reply["token"])


async def ask_revoke(request: web.Request) -> web.Response:
    name = request.query.get("name", "")
    return confirm(
        request,
        "token.revoke",
        action=url(request, "/settings/tokens/revoke", {"name": name}),
        back=url(request, "/settings"),
        name=name,
    )


async def revoke(request: web.Request) -> web.Response:
    name = request.query.get("name", "")
    session = session_of(request)
    own = session.grant is not None and session.grant.name == name
    await session.ask("TokenRevoke", name=name)
    return done(request, "done.token.revoke", to="/login" if own else None, name=name)


async def backup(request: web.Request) -> web.Response:
    """A backup now; the answer comes when it is written."""
    reply = await session_of(request).ask("Backup")
    return page(request, "backup_made.html", file=reply["path"], bytes=reply["bytes"])


async def check(request: web.Request) -> web.Response:
    """Look a copy of the job file over."""
    reply = await session_of(request).ask("CheckFile")
    return page(request, "file_checked.html", faults=reply["faults"])


ROUTES: Final = (
    web.get("/settings", show),
    web.get("/settings/tokens/form", token_form),
    web.post("/settings/tokens", add_token),
    web.get("/settings/tokens/revoke", ask_revoke),
    web.post("/settings/tokens/revoke", revoke),
    web.post("/settings/backup", backup),
    web.post("/settings/check", check),
)
