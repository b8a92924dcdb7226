"""Replies and events as frames. A reply is `{ok, ...}` with the request's `reqId` exactly as it came.

The map is encoded once, straight into the connection's buffer; `reqId` is added behind it as the bytes it is.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from hubqueue.errors import HubqueueError, PayloadTooLarge
from hubqueue.model.limits import MAX_FRAME_BYTES
from hubqueue.model.verbs import Event
from hubqueue.servers.door import Reply
from hubqueue.wire.fields import ABSENT, number

_encoder: Final = msgspec.msgpack.Encoder()
_HEADER: Final = bytes(4)
_REQ_ID: Final = _encoder.encode("reqId")
MOST_FIELDS: Final = 13  # beside ok and reqId: as many as a one-byte map header holds


def write_reply(out: bytearray, reply: Reply, req_id: msgspec.Raw) -> None:
    """Append the frame of a reply."""
    start = len(out)
    fields = _failure(reply) if isinstance(reply, HubqueueError) else {"ok": True, **reply}
    out += _HEADER
    _encoder.encode_into(fields, out, start + 4)
    if req_id is not ABSENT:
        out[start + 4] += 1  # one more key in the map's header
        out += _REQ_ID
        out += bytes(req_id)
    length = len(out) - start - 4
    if length > MAX_FRAME_BYTES:
        del out[start:]
        write_reply(out, PayloadTooLarge("The reply is larger than a frame may be", hint="ask for less"), req_id)
        return
    out[start : start + 4] = length.to_bytes(4, "big")


def _failure(error: HubqueueError) -> dict[str, Any]:
    fields = {"ok": False, "error": error.message, "code": error.code, "retryable": error.retryable}
    if error.hint:
        fields["hint"] = error.hint
    return fields


class EventWriter:
    """Events as frames. The last one is kept: every subscriber gets the same bytes."""

    def __init__(self) -> None:
        self._last: Event | None = None
        self._frame = b""

    def frame(self, event: Event) -> bytes:
        """The frame of an event."""
        if event is not self._last:
            body = _encoder.encode({"type": "event", "event": _event(event)})
            self._last, self._frame = event, len(body).to_bytes(4, "big") + body
        return self._frame


def gap_frame(event: Event, missed: int) -> bytes:
    """Tells a slow client, before an event, that so many were left out."""
    fields = {
        "eventType": "gap",
        "queue": event.queue,
        "jobId": "",
        "timestamp": float(event.at_ms),
        "missed": missed,
    }
    body = _encoder.encode({"type": "event", "event": fields})
    return len(body).to_bytes(4, "big") + body


def _event(event: Event) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "eventType": event.kind,
        "queue": event.queue,
        "jobId": event.job_id,
        "timestamp": float(event.at_ms),
        "prev": event.prev,
        "error": event.error,
        "data": None if event.data is None else msgspec.Raw(event.data),
        "terminal": event.terminal,
        "progress": event.progress,
        "delay": None if event.delay_ms is None else number(event.delay_ms),
    }
    return {name: value for name, value in fields.items() if value is not None}
