"""Errors as RFC 9457 problem documents, with the stable codes that every door uses."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any, Final

import msgspec
from aiohttp import web

from hubqueue.errors import HubqueueError, StoreError
from hubqueue.servers.http.reach import is_api

log = logging.getLogger(__name__)

CONTENT_TYPE: Final = "application/problem+json"


def problem(error: HubqueueError) -> web.Response:
    """The answer that tells of this error."""
    fields: dict[str, Any] = {
        "type": f"urn:hubqueue:problem:{error.code}",
        "title": HTTPStatus(error.status).phrase,
        "status": error.status,
        "detail": error.message,
        "code": error.code,
        "retryable": error.retryable,
    }
    if error.hint:
        fields["hint"] = error.hint
    return web.Response(body=msgspec.json.encode(fields), status=error.status, content_type=CONTENT_TYPE)


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
        answer = problem(_of_http(error))
        for name in ("Allow", "Location"):
            if name in error.headers:
                answer.headers[name] = error.headers[name]
        return answer
    except Exception:
        log.exception("A request failed: a defect. path=%s", request.path)
        return problem(StoreError("Internal error", hint="this is a defect of hubqueue; the log has the details"))


def _of_http(error: web.HTTPException) -> HubqueueError:
    wrapped = _HttpError(error.reason, hint="")
    wrapped.status = error.status  # type: ignore[misc]
    wrapped.code = error.reason.lower().replace(" ", "_")  # type: ignore[misc]
    return wrapped


class _HttpError(HubqueueError):
    """What aiohttp itself refuses: an unknown path, a method that is not allowed, a body that is too large."""
