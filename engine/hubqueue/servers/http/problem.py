"""Errors as RFC 9457 problem documents, with the stable codes that every transport uses."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any, Final

import msgspec
from aiohttp import web

from hubqueue.errors import HubqueueError, Internal, LinkDown
from hubqueue.servers.http.requestcontext import is_api

log = logging.getLogger(__name__)

CONTENT_TYPE: Final = "application/problem+json"
RETRY_AFTER_S: Final = "1"  # what a client that may try again should wait at least
PASSED_ON: Final = ("Allow", "Location")  # headers of aiohttp's own refusals that belong to the answer


class Problem(msgspec.Struct, omit_defaults=True, kw_only=True):
    """What went wrong (RFC 9457). `code` is stable; `retryable`: the same request may succeed later."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    retryable: bool
    hint: str = ""


def problem(error: HubqueueError) -> web.Response:
    """The answer that tells of this error."""
    return _answer(error.status, error.code, error.message, retryable=error.retryable, hint=error.hint)


def _answer(status: int, code: str, detail: str, *, retryable: bool = False, hint: str = "") -> web.Response:
    document = Problem(
        type=f"urn:hubqueue:problem:{code}",
        title=HTTPStatus(status).phrase,
        status=status,
        detail=detail,
        code=code,
        retryable=retryable,
        hint=hint,
    )
    headers: dict[str, str] = {}
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    if retryable:
        headers["Retry-After"] = RETRY_AFTER_S
    body = msgspec.json.encode(document)
    return web.Response(body=body, status=status, content_type=CONTENT_TYPE, headers=headers)


@web.middleware
async def problems(request: web.Request, handler: Any) -> web.StreamResponse:
    """Whatever goes wrong below /api is answered with a problem document."""
    if not is_api(request):
        return await handler(request)  # type: ignore[no-any-return]  # pages show their errors themselves
    try:
        return await handler(request)  # type: ignore[no-any-return]
    except HubqueueError as error:
        return problem(error)
    except web.HTTPException as error:
        return _refused(error)
    except ConnectionError:
        return problem(LinkDown("The client has hung up"))  # nobody reads it
    except Exception:
        log.exception("A request failed: a defect. path=%s", request.path)
        return problem(Internal())


def _refused(error: web.HTTPException) -> web.Response:
    """What aiohttp refuses by itself: an unknown path, a method that is not allowed, a body that is too large."""
    answer = _answer(error.status, error.reason.lower().replace(" ", "_"), error.reason)
    for name in PASSED_ON:
        if name in error.headers:
            answer.headers[name] = error.headers[name]
    return answer
