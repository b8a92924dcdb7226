"""Replies of commands as JSON: user data readable for everybody, whole numbers without a fraction.

The engine's numbers are floats where JavaScript clients of the wire need them so; user data stays as it is.
Source: engine-rules 27 for what of user data JSON cannot say (wire/jsondata).
"""

from __future__ import annotations

import asyncio
import math
from typing import Any, Final

import msgspec
from aiohttp import web

from hubqueue.servers.http.rest.reading import JSON
from hubqueue.wire.jsondata import plain, readable

HEAVY_BYTES: Final = 64 * 1024  # of user data; a megabyte of small numbers takes a second

_encode = msgspec.json.Encoder().encode


def shown(value: Any) -> Any:
    """The value with everything in it as JSON can carry it."""
    match value:
        case None | bool() | int() | str():
            return plain(value)
        case float():
            return int(value) if math.isfinite(value) and value.is_integer() and abs(value) <= 2**53 else plain(value)
        case msgspec.Raw():
            return readable(value)
        case msgspec.Struct():
            names = zip(value.__struct_fields__, value.__struct_encode_fields__, strict=True)
            found = {wire: getattr(value, name) for name, wire in names}
            return {wire: shown(each) for wire, each in found.items() if each is not msgspec.UNSET}
        case dict():
            return {str(key): shown(each) for key, each in value.items()}
        case list() | tuple() | set() | frozenset():
            return [shown(each) for each in value]
        case _:
            return plain(value)


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
