"""User data between MessagePack and JSON, for every door and page that speaks JSON.

Rule: what is stored never makes a reader fail. What JSON cannot say is marked or cut (`readable`); what comes in as
JSON is checked before it is stored (`packed`). Source: engine-rules 27.
"""

from __future__ import annotations

import base64
import math
from datetime import datetime
from typing import Any, Final

import msgspec

from hubqueue.errors import Invalid, ProtocolError, Undecodable
from hubqueue.model.jsontext import read_json
from hubqueue.model.payload import decode, encode

MAX_DEPTH: Final = 64
SAFE: Final = 2**53  # JavaScript reads larger integers wrongly

_encode: Final = msgspec.msgpack.Encoder().encode
_fields: Final = msgspec.msgpack.Decoder(dict[str, msgspec.Raw]).decode


def packed(text: bytes) -> bytes:
    """The MessagePack bytes of a JSON text. Errors: Invalid."""
    try:
        return encode(read_json(text))
    except Undecodable as error:
        raise Invalid(f"This is not valid JSON: {error.message.removeprefix('not JSON: ')}") from error


def readable(data: bytes | msgspec.Raw | None) -> Any:
    """The value of these MessagePack bytes as JSON can carry it; bytes that are no MessagePack as `$bytes`."""
    if data is None:
        return None
    raw = bytes(data)
    try:
        return plain(decode(raw))
    except ProtocolError:
        return {"$bytes": _text(raw)}


def plain(value: Any, depth: int = 0) -> Any:
    """A decoded value as JSON can carry it; Raw values in it are decoded too."""
    match value:
        case str():  # the most frequent ones first; ASCII has nothing to replace
            return value if value.isascii() else value.encode(errors="replace").decode()
        case None | bool():
            return value
        case int():
            return value if -SAFE <= value <= SAFE else str(value)
        case float():
            return value if math.isfinite(value) else _odd(value)
        case bytes():
            return {"$bytes": _text(value)}
        case msgspec.Raw():
            return readable(value)
        case msgspec.Struct():  # field by field, so that odd user data in one harms no other
            return plain(_fields(_encode(value)), depth)
        case list() | tuple():
            return None if depth >= MAX_DEPTH else [plain(item, depth + 1) for item in value]
        case dict():
            return None if depth >= MAX_DEPTH else {_key(key): plain(item, depth + 1) for key, item in value.items()}
        case datetime():
            return value.isoformat()
        case msgspec.msgpack.Ext():
            return {"$ext": value.code, "$bytes": _text(bytes(value.data))}
        case _:
            return str(value)


def _key(key: object) -> str:
    """Keys of JSON are text: another one becomes the text of its JSON, null and true too."""
    found = plain(key)
    return found if isinstance(found, str) else _written(found)


def _odd(value: float) -> str:
    """As JavaScript calls it."""
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _written(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
