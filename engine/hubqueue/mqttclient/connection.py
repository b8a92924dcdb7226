"""One connection to the broker, from CONNECT to its end: log in, subscribe, publish, acknowledge.

Messages are acknowledged only when told, a batch in one write (paho's `_packet_queue`). QoS 2 is never asked for:
with the PUBREC that paho sends by itself the broker forgets the message.
"""

from __future__ import annotations

import asyncio
import math
import ssl
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import chain, groupby
from typing import Any, Final, Literal, TypeVar

import aiomqtt
import paho.mqtt.client as paho
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from hubqueue.errors import HubqueueError, PayloadTooLarge
from hubqueue.mqttclient.answer import Answer
from hubqueue.mqttclient.broker import Broker
from hubqueue.mqttclient.failures import LOST, UNANSWERED, translated
from hubqueue.mqttclient.message import Message
from hubqueue.mqttclient.packets import pubacks
from hubqueue.mqttclient.stream import Stream

Version = Literal["5", "3.1.1"]
T = TypeVar("T")

_PROTOCOL: Final = {"5": aiomqtt.ProtocolVersion.V5, "3.1.1": aiomqtt.ProtocolVersion.V311}
_PACKET_BYTES: Final = 9  # of a PUBLISH beside topic, payload and properties: header, length, topic length, packet id
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
    """Who is told what. `begun` comes before the first message: whether the broker kept the session, and whether it
    says of each message through which subscriptions it came."""

    begun: Callable[[bool, bool], None]
    received: Callable[[Message], None]


@dataclass(frozen=True, slots=True)
class Asked:
    """What to subscribe to. id: the identifier that its messages are to carry; 0: none."""

    topic: str
    qos: int
    id: int = 0


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
        self.max_bytes: int | None = None  # of a packet that the broker takes; None: it did not say
        self.pending_calls_threshold = 1_000_000  # subscribes are few
        self._asked: dict[int, asyncio.Future[Answer]] = {}
        self._disconnected.add_done_callback(self._forget)

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

    async def subscribe_all(self, asked: Sequence[Asked]) -> list[str]:
        """Subscribe; the filters that the broker refuses. Errors: LinkDown."""
        packets = [list(group) for _, group in groupby(asked, lambda each: each.id)]  # an identifier is one packet's
        refused = await asyncio.gather(*(self._subscribe(packet) for packet in packets))
        return list(chain.from_iterable(refused))

    async def _subscribe(self, asked: Sequence[Asked]) -> list[str]:
        properties, id = None, asked[0].id
        if id:
            properties = Properties(PacketTypes.SUBSCRIBE)  # type: ignore[no-untyped-call]
            properties.SubscriptionIdentifier = id
        topics = [(each.topic, _options(each) if self._five else each.qos) for each in asked]
        try:
            answers = await self._answer(
                self.subscribe(topics, properties=properties, timeout=math.inf)  # type: ignore[arg-type]
            )
        except aiomqtt.MqttError as error:
            raise self._translated(error) from error
        codes = [answer.value if isinstance(answer, ReasonCode) else answer for answer in answers]
        return [each.topic for each, code in zip(asked, codes, strict=False) if code >= _REFUSED_FROM]

    async def unsubscribe_all(self, filters: list[str]) -> None:
        """Unsubscribe. Errors: LinkDown."""
        try:
            await self._answer(self.unsubscribe(filters, timeout=math.inf))
        except aiomqtt.MqttError as error:
            raise self._translated(error) from error

    async def send(
        self, topic: str, payload: bytes, *, qos: int = 1, retain: bool = False, correlation: bytes | None = None
    ) -> Answer:
        """Publish; for QoS 1 what the broker says of it.

        Errors: LinkDown; PayloadTooLarge for what the broker would end the connection for.
        """
        properties = None
        if correlation is not None and self._five:
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.CorrelationData = correlation
        size = self.packet_bytes(topic, payload, properties)
        if self.max_bytes is not None and size > self.max_bytes:
            raise PayloadTooLarge(
                f"a message of {size} bytes, and MQTT broker {self._broker.url} takes {self.max_bytes}"
            )
        try:
            return await self._answer(self._put(topic, payload, qos, retain, properties))
        except aiomqtt.MqttError as error:
            raise self._translated(error) from None

    def _put(
        self, topic: str, payload: bytes, qos: int, retain: bool, properties: Properties | None
    ) -> asyncio.Future[Answer]:
        """Send it off. Done when the broker has answered, or with QoS 0 when it is on its way; else LinkDown."""
        answer: asyncio.Future[Answer] = self._loop.create_future()
        if self.ended:
            answer.set_exception(self._gone())
            return answer
        sent = self._client.publish(topic, payload, qos, retain, properties)
        if sent.rc != paho.MQTT_ERR_SUCCESS:
            answer.set_exception(self._gone())
        elif sent.is_published():
            answer.set_result(Answer())
        else:
            self._asked[sent.mid] = answer
        return answer

    def _gone(self) -> HubqueueError:
        return self._translated(self._cause())

    def _cause(self) -> aiomqtt.MqttError:
        """Why the connection has ended."""
        cause = self._disconnected.exception() if self.ended else None
        return cause if isinstance(cause, aiomqtt.MqttError) else aiomqtt.MqttError(LOST)

    def _forget(self, _: asyncio.Future[None]) -> None:
        """The connection has ended: nobody will answer any more."""
        asked, self._asked = self._asked, {}
        for answer in asked.values():
            if not answer.done():
                answer.set_exception(self._gone())

    def packet_bytes(self, topic: str, payload: bytes, properties: Properties | None) -> int:
        """Bytes of the packet that publishes this."""
        packed = int(self._five) if properties is None else len(properties.pack())  # type: ignore[no-untyped-call]
        return _PACKET_BYTES + len(topic.encode()) + packed + len(payload)

    def acknowledge(self, mids: list[int]) -> None:
        """Tell the broker that it may forget these messages: one write for all, now. Nothing where no id is alive."""
        if mids and self.carries:
            self._client._packet_queue(paho.PUBACK, pubacks(mids), 0, 0)
            self._writable()  # a hub that is killed before the loop's next turn has them sent

    async def _answer(self, call: Awaitable[T]) -> T:
        """What the broker says, in time, which counts while we read, and before the connection ends.

        Errors: MqttError.
        """
        task = asyncio.ensure_future(call)
        try:
            waited: set[asyncio.Future[Any]] = {task, self._disconnected}
            asked_at_s = self._loop.time()
            while not task.done():
                left_s = self.timeout - self.unanswered_s(asked_at_s)
                if self.ended:
                    raise self._cause()
                if left_s <= 0:
                    raise aiomqtt.MqttError("Operation timed out")
                await asyncio.wait(waited, timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
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
            self.max_bytes = getattr(properties, "MaximumPacketSize", None) if self._five else None
            named = getattr(properties, "SubscriptionIdentifierAvailable", 1) != 0
            self._begin(flags.session_present, self._five and named)
            self._begun = True
        super()._on_connect(client, userdata, flags, reason_code, properties)

    def _on_publish(
        self, client: paho.Client, userdata: Any, mid: int, reason_code: ReasonCode, properties: Properties
    ) -> None:
        code = self._codes.pop(mid, 0)
        answer = self._asked.pop(mid, None)
        if answer is not None and not answer.done():
            answer.set_result(Answer(code))
        super()._on_publish(client, userdata, mid, reason_code, properties)

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


def _options(asked: Asked) -> SubscribeOptions:
    """A shared subscription may not ask for noLocal. Source: MQTT 5.0, section 3.8.3.1."""
    shared = asked.topic.startswith("$share/")
    return SubscribeOptions(qos=asked.qos, noLocal=not shared, retainHandling=_RETAINED_IF_NEW)
