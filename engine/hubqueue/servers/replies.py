"""Replies and notifications as frames. A reply is `{ok, ...}` with the request's `reqId` exactly as it came.

The map is encoded once, straight into the connection's buffer; `reqId` is added behind it as the bytes it is.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from hubqueue.commands.call import Reply
from hubqueue.errors import HubqueueError, PayloadTooLarge
from hubqueue.model.limits import MAX_FRAME_BYTES
from hubqueue.wire.fields import ABSENT

_encoder: Final = msgspec.msgpack.Encoder()
_HEADER: Final = bytes(4)
_REQ_ID: Final = _encoder.encode("reqId")
MOST_FIELDS: Final = 13  # beside ok and reqId: as many as a one-byte map header holds


def write_reply(out: bytearray, reply: Reply, req_id: msgspec.Raw) -> None:
    """Append the frame of a reply."""
    start = len(out)
    fields = failure(reply) if isinstance(reply, HubqueueError) else {"ok": True, **reply}
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


def failure(error: HubqueueError) -> dict[str, Any]:
    """The fields of a reply that refuses."""
    fields = {"ok": False, "error": error.message, "code": error.code, "retryable": error.retryable}
    if error.hint:
        fields["hint"] = error.hint
    return fields


def notification_frame(notification: dict[str, Any]) -> bytes:
    """The frame of a notification."""
    body = _encoder.encode(notification)
    return len(body).to_bytes(4, "big") + body
