"""WebSocket frames of a server: whole, unmasked, not compressed, so that one can be shared by many clients.

Source: RFC 6455, section 5.2.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from hubqueue.commands.call import Reply
from hubqueue.errors import HubqueueError, PayloadTooLarge
from hubqueue.model.limits import MAX_FRAME_BYTES
from hubqueue.servers.replies import failure, write_reply
from hubqueue.wire.fields import ABSENT
from hubqueue.wire.jsondata import plain

TEXT: Final = b"\x81"  # final frame, opcode 1
BINARY: Final = b"\x82"  # final frame, opcode 2

_json: Final = msgspec.json.Encoder().encode
_pack: Final = msgspec.msgpack.Encoder().encode


def frame(kind: bytes, body: bytes | bytearray) -> bytes:
    """One message."""
    length = len(body)
    if length < 126:
        head = bytes((length,))
    elif length < 0x10000:
        head = b"\x7e" + length.to_bytes(2, "big")
    else:
        head = b"\x7f" + length.to_bytes(8, "big")
    return b"".join((kind, head, body))


def text_reply(reply: Reply, req_id: msgspec.Raw) -> bytes:
    """A reply as JSON; stored data that JSON cannot say is marked (`wire.jsondata`)."""
    fields = failure(reply) if isinstance(reply, HubqueueError) else {"ok": True, **reply}
    if req_id is not ABSENT:
        fields["reqId"] = req_id
    body = _json(plain(fields))
    if len(body) > MAX_FRAME_BYTES:
        return text_reply(PayloadTooLarge("The reply is larger than a message may be", hint="ask for less"), req_id)
    return frame(TEXT, body)


def binary_reply(reply: Reply, req_id: msgspec.Raw) -> bytes:
    """A reply as MessagePack, as over TCP but without the length."""
    out = bytearray()
    write_reply(out, reply, req_id)
    return frame(BINARY, out[4:])


def text_notification(notification: dict[str, Any]) -> bytes:
    """A notification as JSON."""
    return frame(TEXT, _json(plain(notification)))


def binary_notification(notification: dict[str, Any]) -> bytes:
    """A notification as MessagePack."""
    return frame(BINARY, _pack(notification))
