"""A message as it comes from the broker. Connections build messages, rules read them, nobody changes one."""

from __future__ import annotations

from typing import Final

import msgspec


class Extras(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """What MQTT 5 lets a publisher say beside the payload."""

    user: dict[str, str] | None = None
    content_type: str | None = None
    response_topic: str | None = None
    correlation: bytes | None = None


NO_EXTRAS: Final = Extras()


class Message(msgspec.Struct, frozen=True, gc=False):
    """A message from the broker. mid is 0 where there is nothing to acknowledge; redelivered: it was sent before.

    ids: the identifiers of the subscriptions that this copy came through, where the broker says so (MQTT 5).
    Units: missing bytes at the end of the payload that were beyond what is read of one message.
    """

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    redelivered: bool = False
    mid: int = 0
    extras: Extras = NO_EXTRAS
    missing: int = 0
    ids: tuple[int, ...] = ()
