"""A message as a source carries it, and the job data made of it. Feeds build messages, nobody changes one."""

from __future__ import annotations

from typing import Final

import msgspec

from hubqueue.errors import Invalid, Undecodable
from hubqueue.expression import SHARED, UNITS
from hubqueue.model import payload as carried
from hubqueue.model.job import Job, NewJob
from hubqueue.model.limits import MAX_KEPT_BYTES

# What expressions and templates of a source can name.
NAMES: Final = ("topic", "payload", "key", "headers", "partition", "offset", "id", "at")


class Message(msgspec.Struct, frozen=True, gc=False):
    """A Kafka record or an AMQP message.

    topic: of Kafka, or the AMQP queue. key: Kafka's, or the routing key of AMQP. partition and offset are Kafka's;
    id is what an AMQP publisher called it. Units: at_ms Unix milliseconds, when it was written, None if unknown.
    """

    topic: str
    payload: bytes
    at_ms: int | None = None
    key: str | None = None
    headers: dict[str, str] = {}
    partition: int | None = None
    offset: int | None = None
    id: str | None = None


class Envelope(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, rename="camel"):
    """The data of a job of shape `message`. Units: at Unix milliseconds."""

    topic: str
    payload: object
    at: int | None = None
    key: str | None = None
    headers: dict[str, str] = {}
    partition: int | None = None
    offset: int | None = None
    id: str | None = None


class Unread(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, rename="camel"):
    """The data of a message that became no job: all of it, but for what its payload has beyond MAX_KEPT_BYTES.

    Units: bytes.
    """

    source: str
    topic: str
    payload: bytes
    size: int
    at: int | None = None
    key: str | None = None
    headers: dict[str, str] = {}
    partition: int | None = None
    offset: int | None = None
    id: str | None = None


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Unread).decode


def values(message: Message, value: object) -> dict[str, object]:
    """The names that expressions and templates of a source may use, by NAMES."""
    return {
        "topic": message.topic,
        "payload": value,
        "key": message.key,
        "headers": message.headers,
        "partition": message.partition,
        "offset": message.offset,
        "id": message.id,
        "at": message.at_ms,
        SHARED: [UNITS],
    }


def envelope(message: Message, value: object) -> bytes:
    """Job data that says where the value came from. Errors: Undecodable for what cannot be carried."""
    return encoded(
        Envelope(
            message.topic,
            value,
            message.at_ms,
            message.key,
            message.headers,
            message.partition,
            message.offset,
            message.id,
        )
    )


def encoded(value: object) -> bytes:
    """MessagePack of a decoded value. Errors: Undecodable for what cannot be carried."""
    try:
        return carried.encode(value)
    except Invalid as error:
        raise Undecodable(error.message, hint=error.hint) from error


def unread_job(message: Message, source: str) -> NewJob:
    """The job under which a message that cannot become one of its own is kept."""
    data = Unread(
        source,
        message.topic,
        message.payload[:MAX_KEPT_BYTES],
        len(message.payload),
        message.at_ms,
        message.key,
        message.headers,
        message.partition,
        message.offset,
        message.id,
    )
    return NewJob(name="unroutable", data=_encode(data), max_attempts=1)


def unread(job: Job) -> Unread | None:
    """What is kept of a message; None where this job is none of a source."""
    try:
        return _decode(job.data or b"")
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None


def message_of(kept: Unread) -> Message:
    """The message as it came."""
    return Message(kept.topic, kept.payload, kept.at, kept.key, kept.headers, kept.partition, kept.offset, kept.id)


def text_of(value: object) -> str:
    """A header as people read it: bytes that are no text show as such."""
    return value.decode(errors="backslashreplace") if isinstance(value, bytes | bytearray) else str(value)
