"""What the bridge tells of a message beside its payload. Jobs see `Envelope`, documented in docs/mqtt.md."""

from __future__ import annotations

from typing import Final

import msgspec

from hubqueue.ingest.unread import Unread, head
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


class UnreadMessage(Unread, frozen=True, gc=False, omit_defaults=True, rename="camel", kw_only=True):
    """All of a message that became no job.

    rule: which refused it (see `routing.keys_of`); others: those of the lane that took its topic, too, and have dealt
    with it. Units: received_at Unix milliseconds.
    """

    received_at: int
    qos: int
    retain: bool = False
    rule: str | None = None
    others: tuple[str, ...] = ()
    lane: str = ""
    content_type: str | None = None
    properties: dict[str, str] | None = None
    response_topic: str | None = None
    correlation: bytes | None = None


UNREAD: Final = msgspec.msgpack.Decoder(UnreadMessage)


def kept(
    message: Message, now_ms: int, *, lane: str = "", rule: str | None = None, others: tuple[str, ...] = ()
) -> UnreadMessage:
    """What is kept of a message that no rule could take."""
    extras = message.extras
    return UnreadMessage(
        message.topic,
        head(message.payload),
        len(message.payload) + message.missing,
        received_at=now_ms,
        qos=message.qos,
        retain=message.retain,
        rule=rule,
        others=others,
        lane=lane,
        content_type=extras.content_type,
        properties=extras.user,
        response_topic=extras.response_topic,
        correlation=extras.correlation,
    )


def message_of(kept: UnreadMessage) -> Message:
    """The message as it came. What is missing of its payload was too large to be kept."""
    extras = Extras(kept.properties, kept.content_type, kept.response_topic, kept.correlation)
    return Message(kept.topic, kept.payload, qos=kept.qos, retain=kept.retain, extras=extras, missing=kept.missing)
