"""Replies of commands as JSON (wire.jobjson); heavy ones are made beside the loop."""

from __future__ import annotations

import asyncio
from typing import Any, Final

import msgspec
from aiohttp import web

from hubqueue.servers.http.rest.reading import JSON
from hubqueue.wire.jobjson import shown

HEAVY_BYTES: Final = 64 * 1024  # of user data; a megabyte of small numbers takes a second

_encode = msgspec.json.Encoder().encode


def answer(result: Any, status: int) -> web.Response:
    """The response that carries a result; none without one."""
    if result is None:
        return web.Response(status=204)
    return web.Response(body=_encode(shown(result)), status=status, content_type=JSON)


async def answered(result: Any, status: int) -> web.Response:
    """As `answer`; much user data is made readable beside the loop."""
    if _weight(result) > HEAVY_BYTES:
        return await asyncio.to_thread(answer, result, status)
    return answer(result, status)


def _weight(value: Any) -> int:
    """Bytes of user data in a reply."""
    match value:
        case msgspec.Raw() | bytes():
            return len(bytes(value))
        case msgspec.Struct():
            return sum(_weight(getattr(value, name)) for name in value.__struct_fields__)
        case dict():
            return sum(map(_weight, value.values()))
        case list() | tuple():
            return sum(map(_weight, value))
        case _:
            return 0
