"""Errors as pages, or for htmx as a message: in the reader's words first, with the engine's own text beneath."""

from __future__ import annotations

import asyncio
import logging
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web

from hubqueue.errors import HubqueueError, Internal, NotAuthenticated
from hubqueue.ui import requestcontext
from hubqueue.ui.render import environment, page, texts_of

log = logging.getLogger(__name__)

PROGRAMS: Final = ("/api/", "/metrics", "/health", "/ready")  # answered by their own handlers, errors too


def for_people(request: web.Request) -> bool:
    """Whether this request is for a page."""
    return not request.path.startswith(PROGRAMS)


@web.middleware
async def failures(request: web.Request, handler: Any) -> web.StreamResponse:
    """Whatever goes wrong on the way to a page is shown as one."""
    if not for_people(request):
        return await handler(request)  # type: ignore[no-any-return]
    if not environment.cache_info().currsize:
        await asyncio.to_thread(environment)  # once: it takes a quarter of a second, which the queue must not wait for
    try:
        return await handler(request)  # type: ignore[no-any-return]
    except HubqueueError as error:
        return failed(request, error)
    except web.HTTPException as error:
        if error.status < HTTPStatus.BAD_REQUEST:
            raise
        answer = _shown(request, error.status, str(error.status), "", "")
        if "Allow" in error.headers:
            answer.headers["Allow"] = error.headers["Allow"]
        return answer
    except Exception:
        log.exception("A page failed: a defect. path=%s", request.path)
        return failed(request, Internal())


def failed(request: web.Request, error: HubqueueError) -> web.Response:
    """The answer that tells of this error."""
    if isinstance(error, NotAuthenticated) and requestcontext.swaps(request):
        return web.Response(status=error.status, headers={"HX-Redirect": requestcontext.url(request, "/login")})
    return _shown(request, error.status, error.code, error.message, error.hint)


def _shown(request: web.Request, status: int, code: str, message: str, hint: str) -> web.Response:
    """code: chooses the words, `error.<code>` of the texts."""
    t = texts_of(request)
    key = next((key for key in (f"error.{code}", f"error.{status}") if key in t), "error.500")
    if requestcontext.swaps(request):
        detail = f" ({message})" if message else ""
        return web.Response(text=f"{t(key)}{detail}", status=status)
    return page(request, "error.html", status=status, headline=t(key), message=message, hint=hint, code=status)
