"""The job data made of a message. Jobs see `Envelope`, documented in docs/mqtt.md."""

from __future__ import annotations

from typing import Final

import msgspec

from hubqueue.errors import Invalid, Undecodable
from hubqueue.model import payload as carried
from hubqueue.model.job import Job, NewJob
from hubqueue.model.limits import MAX_KEPT_BYTES
from hubqueue.mqttclient.message import Extras, Message


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
    """The data of a message that became no job: all of it, so that it can be routed again, but for the payload's end.

    rule: which refused it (see `routing.keys_of`); others: those of the lane that took its topic, too, and have dealt
    with it. Units: bytes; payload at most MAX_KEPT_BYTES, of size; received_at Unix milliseconds.
    """

    topic: str
    payload: bytes
    received_at: int
    qos: int
    size: int
    retain: bool = False
    rule: str | None = None
    others: tuple[str, ...] = ()
    lane: str = ""
    content_type: str | None = None
    properties: dict[str, str] | None = None
    response_topic: str | None = None
    correlation: bytes | None = None


UNREAD: Final = "unroutable"  # the name of such a job

_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Unread).decode


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


def unread_job(
    message: Message, now_ms: int, *, lane: str = "", rule: str | None = None, others: tuple[str, ...] = ()
) -> NewJob:
    """The job under which a message that no rule could take is kept."""
    extras = message.extras
    data = Unread(
        message.topic,
        message.payload[:MAX_KEPT_BYTES],
        now_ms,
        message.qos,
        len(message.payload) + message.missing,
        message.retain,
        rule,
        others,
        lane,
        extras.content_type,
        extras.user,
        extras.response_topic,
        extras.correlation,
    )
    return NewJob(name=UNREAD, data=_encode(data), max_attempts=1)


def unread(job: Job) -> Unread | None:
    """What is kept of a message; None where this job is none of MQTT."""
    try:
        return _decode(job.data or b"")
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def message_of(kept: Unread) -> Message:
    """The message as it came. What is missing of its payload was too large to be kept."""
    extras = Extras(kept.properties, kept.content_type, kept.response_topic, kept.correlation)
    missing = kept.size - len(kept.payload)
    return Message(kept.topic, kept.payload, qos=kept.qos, retain=kept.retain, extras=extras, missing=missing)
