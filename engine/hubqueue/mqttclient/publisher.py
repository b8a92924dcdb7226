"""A connection that publishes only: many QoS 1 messages at once, each with the broker's own answer to it.

No more are under way than the broker said it takes (Receive Maximum), so that it may hold us back but never drop us.
Source: MQTT 5.0, sections 3.2.2.3, 3.4.2.1 and 4.9.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from typing import Any, Final

import msgspec
import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from hubqueue.errors import LinkDown, ProtocolError
from hubqueue.mqttclient.answer import Answer
from hubqueue.mqttclient.broker import Broker
from hubqueue.mqttclient.connection import Callbacks, Connection, Version

UNDER_WAY: Final = 100  # more would not be faster, and all of them come again when the connection is lost
UNDER_WAY_3_1_1: Final = 20  # what brokers of that age take by default


class Outgoing(msgspec.Struct, frozen=True, gc=False):
    """A message to publish. user: MQTT 5 user properties, left out with 3.1.1."""

    topic: str
    payload: bytes
    retain: bool = False
    content_type: str | None = None
    user: tuple[tuple[str, str], ...] = ()


class Publisher(Connection):
    """Opened once, ends once."""

    def __init__(
        self,
        broker: Broker,
        version: Version,
        client_id: str,
        *,
        context: ssl.SSLContext | None,
        answer_s: float,
        keep_session: bool,
    ) -> None:
        nothing = Callbacks(begun=lambda present, named: None, received=lambda message: None)
        super().__init__(
            broker,
            version,
            client_id,
            nothing,
            context=context,
            status=None,
            answer_s=answer_s,
            keep_session=keep_session,
        )
        self.retains = True
        self._takes_qos_1 = True
        self._room = asyncio.Semaphore(UNDER_WAY if self._five else UNDER_WAY_3_1_1)
        self._client.max_inflight_messages_set(0)  # that is _room's business

    async def open(self) -> None:
        """Connect and log in. Errors: VersionRefused, NotAuthenticated, LinkDown, ProtocolError."""
        await super().open()
        if not self._takes_qos_1:
            self.abort()
            raise ProtocolError(f"MQTT broker {self._broker.url} takes QoS 0 only", hint="that loses messages")

    def size(self, message: Outgoing) -> int:
        """Bytes of its packet."""
        return self.packet_bytes(message.topic, message.payload, self._packet_properties(message))

    async def publish_each(self, messages: Sequence[Outgoing]) -> list[Answer | LinkDown]:
        """Publish in order; the broker's answer to each once all are there, or that the connection was lost before."""
        answers = []
        try:
            for message in messages:
                await self._room.acquire()
                answers.append(self._put_out(message))
            return [_answer(each) for each in await asyncio.gather(*answers, return_exceptions=True)]
        finally:
            for answer in answers:
                if not answer.done():
                    answer.cancel()
                elif not answer.cancelled():
                    answer.exception()  # read, so that asyncio does not call it forgotten

    def _put_out(self, message: Outgoing) -> asyncio.Future[Answer]:
        answer = self._put(message.topic, message.payload, 1, message.retain, self._packet_properties(message))
        answer.add_done_callback(lambda done: self._room.release())
        return answer

    def _packet_properties(self, message: Outgoing) -> Properties | None:
        if not self._five or not (message.user or message.content_type):
            return None
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        if message.content_type:
            properties.ContentType = message.content_type
        if message.user:
            properties.UserProperty = list(message.user)
        return properties

    def _on_connect(
        self,
        client: paho.Client,
        userdata: Any,
        flags: paho.ConnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        if self._five and properties is not None:
            self.retains = getattr(properties, "RetainAvailable", 1) != 0
            self._takes_qos_1 = getattr(properties, "MaximumQoS", 2) != 0
            self._room = asyncio.Semaphore(min(UNDER_WAY, getattr(properties, "ReceiveMaximum", UNDER_WAY)))
        super()._on_connect(client, userdata, flags, reason_code, properties)


def _answer(outcome: Answer | BaseException) -> Answer | LinkDown:
    if isinstance(outcome, Answer | LinkDown):
        return outcome
    raise outcome
