"""One connection to the broker, from CONNECT to its end: log in, subscribe, publish, acknowledge.

Messages are acknowledged only when told, a batch in one write (paho's `_packet_queue`). QoS 2 is never asked for:
with the PUBREC that paho sends by itself the broker forgets the message.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar

import aiomqtt
import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from hubqueue.broker.broker import Broker
from hubqueue.broker.failures import LOST, UNANSWERED, translated
from hubqueue.broker.message import Message
from hubqueue.broker.packets import pubacks
from hubqueue.broker.stream import Stream
from hubqueue.errors import HubqueueError

Version = Literal["5", "3.1.1"]
T = TypeVar("T")

_PROTOCOL: Final = {"5": aiomqtt.ProtocolVersion.V5, "3.1.1": aiomqtt.ProtocolVersion.V311}
_REFUSED_FROM: Final = 0x80  # SUBACK codes from here on are refusals; MQTT 5.0, table 3-8
_RETAINED_IF_NEW: Final = 1  # MQTT 5.0, section 3.8.3.1: retained messages only when the subscription is new


@dataclass(frozen=True, slots=True)
class Status:
    """A retained message that says whether the hub is there: `online` at birth, `offline` as last will."""

    topic: str
    online: bytes
    offline: bytes


@dataclass(frozen=True, slots=True)
class Callbacks:
    """Who is told what. `begun` comes before the first message, with whether the broker kept the session."""

    begun: Callable[[bool], None]
    received: Callable[[Message], None]


class Connection(Stream):
    """A connection that is opened once, ends once, and is then thrown away."""

    def __init__(
        self,
        broker: Broker,
        version: Version,
        client_id: str,
        callbacks: Callbacks,
        *,
        context: ssl.SSLContext | None,
        status: Status | None,
        answer_s: float,
        keep_session: bool = True,
    ) -> None:
        five = version == "5"
        super().__init__(
            broker,
            callbacks.received,
            context,
            five=five,
            username=broker.username,
            password=broker.password,
            identifier=client_id,
            protocol=_PROTOCOL[version],
            will=None if status is None else aiomqtt.Will(status.topic, status.offline, qos=1, retain=True),
            clean_session=None if five else not keep_session,
            clean_start=not keep_session if five else paho.MQTT_CLEAN_START_FIRST_ONLY,
            properties=_connect_properties(broker, keep_session) if five else None,
            keepalive=broker.keepalive_s,
            timeout=answer_s,
        )
        self._begin = callbacks.begun
        self._begun = False
        self.pending_calls_threshold = 1_000_000  # publishes are bounded by their callers

    async def open(self) -> None:
        """Connect and log in. An answer to CONNECT must come within answer_s.

        Errors: VersionRefused, NotAuthenticated, LinkDown.
        """
        try:
            await self.log_in()
        except asyncio.CancelledError:
            self.abort()
            raise
        except aiomqtt.MqttError as error:
            failure = self._translated(error, opening=True)
        except OSError as error:
            failure = self._translated(aiomqtt.MqttError(str(error)), opening=True)
        else:
            self.timeout = self._broker.timeout_s
            return
        self.abort()
        raise failure  # outside of `except`: links remember it, and it must not remember frames and sockets

    async def closed(self) -> HubqueueError:
        """Wait for the end of an open connection, and say why it ended."""
        try:
            await asyncio.shield(self._disconnected)
        except aiomqtt.MqttError as error:
            return self._translated(error)
        except OSError as error:
            return self._translated(aiomqtt.MqttError(str(error)))
        return self._translated(aiomqtt.MqttError("the connection was closed"))

    async def close(self) -> None:
        """Leave in order; the broker keeps the session and does not send the last will."""
        try:
            await self.__aexit__(None, None, None)
        except aiomqtt.MqttError:
            pass  # it had ended already, or the broker does not answer
        self.abort()

    @property
    def carries(self) -> bool:
        """Whether packet ids of this connection are alive: its broker has answered, and it has not ended."""
        return self._begun and not self.ended

    async def subscribe_all(self, subscriptions: dict[str, int]) -> list[str]:
        """Subscribe; the filters that the broker refuses. Errors: LinkDown."""
        if not subscriptions:
            return []
        if self._five:
            topics: Any = [
                (text, SubscribeOptions(qos=qos, noLocal=not _shared(text), retainHandling=_RETAINED_IF_NEW))
                for text, qos in subscriptions.items()
            ]
        else:
            topics = list(subscriptions.items())
        try:
            answers = await self._unless_ended(self.subscribe(topics))
        except aiomqtt.MqttError as error:
            raise self._translated(error) from error
        codes = [answer.value if isinstance(answer, ReasonCode) else answer for answer in answers]
        return [text for text, code in zip(subscriptions, codes, strict=False) if code >= _REFUSED_FROM]

    async def unsubscribe_all(self, filters: list[str]) -> None:
        """Unsubscribe. Errors: LinkDown."""
        try:
            await self._unless_ended(self.unsubscribe(filters))
        except aiomqtt.MqttError as error:
            raise self._translated(error) from error

    async def send(
        self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False, correlation: bytes | None = None
    ) -> None:
        """Publish, and for QoS 1 wait for the broker's acknowledgement. Errors: LinkDown."""
        properties = None
        if correlation is not None and self._five:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.CorrelationData = correlation
        try:
            await self._unless_ended(self.publish(topic, payload, qos=qos, retain=retain, properties=properties))
        except aiomqtt.MqttError as error:
            raise self._translated(error) from error

    def acknowledge(self, mids: list[int]) -> None:
        """Tell the broker that it may forget these messages: one write for all. Nothing where no id is alive."""
        if mids and self.carries:
            self._client._packet_queue(paho.PUBACK, pubacks(mids), 0, 0)

    async def _unless_ended(self, call: Coroutine[Any, Any, T]) -> T:
        """The answer to a call; aiomqtt would wait for it until its time-out though the connection is gone."""
        task = asyncio.ensure_future(call)
        try:
            waited: set[asyncio.Future[Any]] = {task, self._disconnected}
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise aiomqtt.MqttError(LOST)
            return task.result()
        finally:
            task.cancel()

    def _on_connect(
        self,
        client: paho.Client,
        userdata: Any,
        flags: paho.ConnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        if not self._connected.done() and not reason_code.is_failure:
            self._begin(flags.session_present)
            self._begun = True
        super()._on_connect(client, userdata, flags, reason_code, properties)

    def _on_disconnect(
        self,
        client: paho.Client,
        userdata: Any,
        flags: paho.DisconnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        """aiomqtt leaves a connection that ends before its CONNACK to the time-out."""
        if not self._connected.done():
            self._connected.set_exception(aiomqtt.MqttError(UNANSWERED))
        super()._on_disconnect(client, userdata, flags, reason_code, properties)

    def _translated(self, error: aiomqtt.MqttError, *, opening: bool = False) -> HubqueueError:
        return translated(error, self._broker, trial=opening and self._five)


def _connect_properties(broker: Broker, keep_session: bool) -> Properties:
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = broker.session_expiry_s if keep_session else 0
    properties.ReceiveMaximum = broker.receive_maximum
    return properties


def _shared(text: str) -> bool:
    """A shared subscription may not ask for noLocal. Source: MQTT 5.0, section 3.8.3.1."""
    return text.startswith("$share/")
