"""The job data made of a message. Jobs see `Envelope`, documented in docs/mqtt.md."""

from __future__ import annotations

from typing import Final

import msgspec

from hubqueue.broker.message import Message
from hubqueue.errors import Invalid, Undecodable
from hubqueue.model import payload as carried
from hubqueue.model.job import NewJob

MAX_KEPT_BYTES: Final = 1_048_576  # of a message that becomes no job: enough to see what it was


class Envelope(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, rename="camel"):
    """The data of a job that was a message. Units: received_at Unix milliseconds."""

    topic: str
    payload: object
    received_at: int
    qos: int
    retain: bool = False
    parts: dict[str, str] | None = None
    content_type: str | None = None
    properties: dict[str, str] | None = None


class Unread(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, rename="camel"):
    """The data of a message that became no job: its bytes, at most MAX_KEPT_BYTES of them. Units: bytes."""

    topic: str
    payload: bytes
    received_at: int
    qos: int
    size: int
    retain: bool = False
    rule: str | None = None


_encode: Final = msgspec.msgpack.Encoder().encode


def envelope(message: Message, value: object, parts: dict[str, str], now_ms: int) -> bytes:
    """Job data that says where the value came from. Errors: Undecodable for what cannot be carried."""
    extras = message.extras
    record = Envelope(
        message.topic, value, now_ms, message.qos, message.retain, parts or None, extras.content_type, extras.user
    )
    return encoded(record)


def encoded(value: object) -> bytes:
    """MessagePack of a decoded value. Errors: Undecodable for what cannot be carried."""
    try:
        return carried.encode(value)
    except Invalid as error:
        raise Undecodable(error.message, hint=error.hint) from error


def unread_job(message: Message, rule: str | None, now_ms: int) -> NewJob:
    """The job under which a message that no rule could take is kept."""
    head = message.payload[:MAX_KEPT_BYTES]
    size = len(message.payload) + message.missing
    data = Unread(message.topic, head, now_ms, message.qos, size, message.retain, rule)
    return NewJob(name="unroutable", data=_encode(data), max_attempts=1)
