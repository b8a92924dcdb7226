"""A channel: a named broadcast that reaches whoever listens at that moment and is kept nowhere."""

from __future__ import annotations

from typing import Final

import msgspec

from hubqueue.errors import Invalid, PayloadTooLarge
from hubqueue.model.limits import check_queue

EVERY_CHANNEL: Final = "*"
MAX_MESSAGE_BYTES: Final = 1024 * 1024  # each listener that is behind holds its messages in memory


class ChannelMessage(msgspec.Struct, frozen=True, gc=False):
    """What was said on a channel. data: MessagePack bytes; source: who brought it in, None for a client."""

    channel: str
    data: bytes
    at_ms: int
    source: object = None


def check_channel(name: str) -> str:
    """The channel name, or Invalid. The same characters as in queue names: it is one level of an MQTT topic."""
    try:
        return check_queue(name)
    except Invalid as error:
        raise Invalid(error.message.replace("Queue", "Channel"), hint=error.hint) from None


def check_message(data: bytes) -> bytes:
    """Errors: PayloadTooLarge."""
    if len(data) > MAX_MESSAGE_BYTES:
        raise PayloadTooLarge("Channel message too large (max 1MB)", hint="put it into a job, or send a reference")
    return data
