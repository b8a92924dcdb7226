"""A message as a source carries it, and what jobs are told of it. Feeds build messages, nobody changes one."""

from __future__ import annotations

from typing import Final

import msgspec

from hubqueue.expression import SHARED, UNITS
from hubqueue.ingest.unread import Unread, head

# What expressions and templates of a source can name.
NAMES: Final = ("topic", "payload", "key", "headers", "partition", "offset", "id", "at")


class Message(msgspec.Struct, frozen=True, gc=False):
    """A Kafka record or an AMQP message.

    topic: of Kafka, or the AMQP queue. key: Kafka's, or the routing key of AMQP. partition and offset are Kafka's;
    id is what an AMQP publisher called it. Units: at_ms Unix milliseconds, when it was written, None if unknown;
    missing bytes at the end of the payload that were too large to be kept.
    """

    topic: str
    payload: bytes
    at_ms: int | None = None
    key: str | None = None
    headers: dict[str, str] = {}
    partition: int | None = None
    offset: int | None = None
    id: str | None = None
    missing: int = 0


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


class UnreadRecord(Unread, frozen=True, gc=False, omit_defaults=True, rename="camel", kw_only=True):
    """All of a message that became no job. source: its name."""

    source: str
    at: int | None = None
    key: str | None = None
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    partition: int | None = None
    offset: int | None = None
    id: str | None = None


UNREAD: Final = msgspec.msgpack.Decoder(UnreadRecord)


class SourceCarrier:
    """What `ingest` asks of the messages of one source."""

    def __init__(self, source: str) -> None:
        self._source: Final = source

    def values(self, message: Message, value: object) -> dict[str, object]:
        """By NAMES."""
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

    def envelope(self, message: Message, value: object, now_ms: int) -> Envelope:
        return Envelope(
            message.topic,
            value,
            message.at_ms,
            message.key,
            message.headers,
            message.partition,
            message.offset,
            message.id,
        )

    def unread(self, message: Message, now_ms: int) -> UnreadRecord:
        return UnreadRecord(
            message.topic,
            head(message.payload),
            len(message.payload) + message.missing,
            source=self._source,
            at=message.at_ms,
            key=message.key,
            headers=message.headers,
            partition=message.partition,
            offset=message.offset,
            id=message.id,
        )


def message_of(kept: UnreadRecord) -> Message:
    """The message as it came. What is missing of its payload was too large to be kept."""
    return Message(
        kept.topic,
        kept.payload,
        kept.at,
        kept.key,
        kept.headers,
        kept.partition,
        kept.offset,
        kept.id,
        kept.missing,
    )


def text_of(value: object) -> str:
    """A header as people read it: bytes that are no text show as such."""
    return value.decode(errors="backslashreplace") if isinstance(value, bytes | bytearray) else str(value)
