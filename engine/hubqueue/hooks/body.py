"""The JSON that a webhook gets. What JSON cannot say is marked, never an error: data is whatever users stored."""

from __future__ import annotations

import base64
import math
from datetime import datetime
from typing import Any, Final

import msgspec

from hubqueue.errors import ProtocolError
from hubqueue.model.payload import decode
from hubqueue.model.webhook import Delivery

MAX_DEPTH: Final = 64
SAFE: Final = 2**53  # JavaScript reads larger integers wrongly

_encode = msgspec.json.Encoder().encode


def body(delivery: Delivery) -> bytes:
    """The body of one request."""
    fields: dict[str, Any] = {
        "event": delivery.event,
        "timestamp": delivery.timestamp,
        "jobId": delivery.job_id,
        "queue": delivery.queue,
    }
    if delivery.data is not None:
        fields["data"] = _data(delivery.data)
    if delivery.error is not None:
        fields["error"] = delivery.error
    if delivery.progress is not None:
        fields["progress"] = delivery.progress
    return _encode(fields)


def _data(data: bytes) -> Any:
    try:
        return plain(decode(data))
    except ProtocolError:
        return {"$bytes": _text(data)}


def plain(value: Any, depth: int = 0) -> Any:
    """A decoded value as JSON can carry it."""
    if depth > MAX_DEPTH:
        return None
    match value:
        case None | bool():
            return value
        case str():
            return value.encode(errors="replace").decode()
        case int():
            return value if -SAFE < value < SAFE else str(value)
        case float():
            return value if math.isfinite(value) else None
        case bytes():
            return {"$bytes": _text(value)}
        case list() | tuple():
            return [plain(item, depth + 1) for item in value]
        case dict():
            return {_key(key): plain(item, depth + 1) for key, item in value.items()}
        case datetime():
            return value.isoformat()
        case msgspec.msgpack.Ext():
            return {"$bytes": _text(bytes(value.data))}
        case _:
            return str(value)


def _key(key: object) -> str:
    return key if isinstance(key, str) else str(key)


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
