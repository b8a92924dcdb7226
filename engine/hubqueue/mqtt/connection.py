"""One connection to the broker, from CONNECT to its end: the only place that touches aiomqtt and paho.

It differs from aiomqtt.Client in three ways: it reads and splits the stream itself (`packets`), hands messages over
at once instead of through a queue, and acknowledges them only when told, a batch in one write. The parts of paho
this leans on (`_packet_handle`, `_packet_queue`, `_loop_rc_handle`, `_sock_close`, `_ping_t`) are pinned by the tests.
QoS 2 is never asked for: with the PUBREC that paho sends by itself the broker forgets the message.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeVar

import aiomqtt
import paho.mqtt.client as paho
from aiomqtt.exceptions import MqttConnectError
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from hubqueue.errors import HubqueueError, LinkDown, NotAuthenticated, ProtocolError
from hubqueue.mqtt.broker import Broker
from hubqueue.mqtt.message import Message
from hubqueue.mqtt.packets import PUBLISH, QOS_2, Packet, Splitter, pubacks, read_publish

Version = Literal["5", "3.1.1"]
T = TypeVar("T")

log = logging.getLogger(__name__)

_PROTOCOL: Final = {"5": aiomqtt.ProtocolVersion.V5, "3.1.1": aiomqtt.ProtocolVersion.V311}
_REFUSED_FROM: Final = 0x80  # SUBACK codes from here on are refusals; MQTT 5.0, table 3-8
_RETAINED_IF_NEW: Final = 1  # MQTT 5.0, section 3.8.3.1: retained messages only when the subscription is new
_BAD_LOGIN: Final = frozenset({4, 5, 134, 135})  # 3.1.1 table 3.1, 5.0 table 3-1
_BAD_VERSION: Final = frozenset({1, 132})
_UNANSWERED: Final = "the broker closed the connection without an answer"
_TIMED_OUT: Final = "no answer in time"
_CLEARER: Final = {"Operation timed out": _TIMED_OUT, "Unspecified error": "the connection was lost"}
_READ_BYTES: Final = 65_536  # a few hundred readings: about 2 ms of the loop
_HINTS: Final = (
    ("certificate verify failed", "the broker's certificate is not trusted: give its CA file, or check its host name"),
    ("WRONG_VERSION_NUMBER", "this port does not speak TLS: use mqtt:// or another port"),
    ("Session taken over", "another client uses the same client id: is a copy of this hub running?"),
    ("Connection refused", "is the broker running, and is the port right?"),
    ("Name or service not known", "the host name is not known"),
)


class VersionRefused(LinkDown):
    """The broker does not speak this version of MQTT, or does not answer to it."""


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


class Connection(aiomqtt.Client):
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
    ) -> None:
        five = version == "5"
        super().__init__(
            broker.host,
            broker.port,
            username=broker.username,
            password=broker.password,
            identifier=client_id,
            protocol=_PROTOCOL[version],
            will=None if status is None else aiomqtt.Will(status.topic, status.offline, qos=1, retain=True),
            clean_session=None if five else False,
            clean_start=False if five else paho.MQTT_CLEAN_START_FIRST_ONLY,
            properties=_connect_properties(broker) if five else None,
            keepalive=broker.keepalive_s,
            timeout=answer_s,
        )
        self._broker = broker
        self._five = five
        self._callbacks = callbacks
        self._paused = False
        self._context = context
        self._splitter = Splitter(broker.max_packet_bytes)
        self._client._create_socket = self._connect_socket  # type: ignore[method-assign]
        self.pending_calls_threshold = 1_000_000  # publishes are bounded by their callers

    async def open(self) -> None:
        """Connect and log in. An answer to CONNECT must come within answer_s.

        Errors: VersionRefused, NotAuthenticated, LinkDown.
        """
        opening = asyncio.ensure_future(self.__aenter__())
        try:
            await asyncio.shield(opening)
        except asyncio.CancelledError:
            opening.add_done_callback(self._abandon)
            raise
        except aiomqtt.MqttError as error:
            failure = self._translated(error, opening=True)
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

    def abort(self) -> None:
        """Drop the socket; harmless when there is none."""
        self._client._sock_close()
        if not self._disconnected.done():
            self._disconnected.set_result(None)
        self._disconnected.exception()  # read, so that asyncio does not call it forgotten

    @property
    def ended(self) -> bool:
        return self._disconnected.done()

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
        """Tell the broker that it may forget these messages: one write for all. Nothing once the connection ended."""
        if mids and not self.ended:
            self._client._packet_queue(paho.PUBACK, pubacks(mids), 0, 0)

    def pause(self) -> None:
        """Read no more, so that the broker holds the rest; pings go on."""
        sock: Any = self._client.socket()
        if sock is not None and not self._paused:
            self._paused = True
            self._loop.remove_reader(sock.fileno())

    def resume(self) -> None:
        """Read on."""
        sock: Any = self._client.socket()
        if sock is not None and self._paused:
            self._paused = False
            self._loop.add_reader(sock.fileno(), self._readable)

    def _connect_socket(self) -> Any:
        """TCP, then TLS; in the thread that connects. paho would give the handshake the keep-alive's time."""
        plain = socket.create_connection((self._broker.host, self._broker.port), self._broker.timeout_s)
        if self._context is None:
            return plain
        secured = self._context.wrap_socket(
            plain, server_hostname=self._broker.host, do_handshake_on_connect=False, suppress_ragged_eofs=True
        )
        try:
            secured.do_handshake()
        except BaseException:
            secured.close()
            raise
        return secured

    async def _unless_ended(self, call: Coroutine[Any, Any, T]) -> T:
        """The answer to a call; aiomqtt would wait for it until its time-out though the connection is gone."""
        task = asyncio.ensure_future(call)
        try:
            waited: set[asyncio.Future[Any]] = {task, self._disconnected}
            await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise aiomqtt.MqttError(_CLEARER["Unspecified error"])
            return task.result()
        finally:
            task.cancel()

    def _abandon(self, opening: asyncio.Future[Any]) -> None:
        """Nobody waits for this connection any more."""
        if not opening.cancelled():
            opening.exception()
        self.abort()

    def _on_socket_open(self, client: paho.Client, userdata: Any, sock: Any) -> None:
        """Called in the thread that connects."""
        self._loop.call_soon_threadsafe(self._start, sock)

    def _start(self, sock: Any) -> None:
        number = sock.fileno()
        if number >= 0:  # it is -1 where the connection ended at once
            self._loop.add_reader(number, self._readable)
            self._misc_task = self._loop.create_task(self._misc_loop())

    def _readable(self) -> None:
        """Take what has come. Whatever goes wrong here ends the connection, never the loop."""
        sock: Any = self._client.socket()
        try:
            while sock is not None:
                data = sock.recv(_READ_BYTES)
                if not data:
                    self._client._loop_rc_handle(paho.MQTT_ERR_CONN_LOST)
                    return
                self._client._last_bytes_received = time.monotonic()
                for packet in self._splitter.feed(data):
                    self._take(packet)
                sock = self._client.socket()
                if not isinstance(sock, ssl.SSLSocket) or not sock.pending():
                    return
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except (OSError, ProtocolError) as error:
            self._end(error)
        except Exception as error:
            log.exception("the MQTT connection is closed because a message was not taken")
            self._end(error)

    def _take(self, packet: Packet) -> None:
        if packet.header & 0xF0 == PUBLISH and not packet.header & QOS_2:
            self._callbacks.received(read_publish(packet, five=self._five))
            return
        self._client._in_packet = {
            "command": packet.header,
            "have_remaining": 1,
            "remaining_count": [],
            "remaining_mult": 1,
            "remaining_length": len(packet.body),
            "packet": bytearray(packet.body),
            "to_process": 0,
            "pos": 0,
        }
        code = self._client._packet_handle()
        if code != paho.MQTT_ERR_SUCCESS:
            self._client._loop_rc_handle(code)

    def _end(self, error: Exception) -> None:
        """The stream cannot be understood any further."""
        self._client._sock_close()
        if not self._connected.done():
            self._connected.set_exception(aiomqtt.MqttError(str(error)))
        elif not self._disconnected.done():
            self._disconnected.set_exception(aiomqtt.MqttError(str(error)))

    def _on_connect(
        self,
        client: paho.Client,
        userdata: Any,
        flags: paho.ConnectFlags,
        reason_code: ReasonCode,
        properties: Properties | None = None,
    ) -> None:
        if not self._connected.done() and not reason_code.is_failure:
            self._callbacks.begun(flags.session_present)
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
            self._connected.set_exception(aiomqtt.MqttError(_UNANSWERED))
        super()._on_disconnect(client, userdata, flags, reason_code, properties)

    def _on_message(self, client: paho.Client, userdata: Any, message: paho.MQTTMessage) -> None:
        """A QoS 2 message, of a session that an earlier client left: paho has acknowledged it already."""
        self._callbacks.received(Message(message.topic, bytes(message.payload), message.qos, bool(message.retain)))

    async def _misc_loop(self) -> None:
        """Pings, once a second. While paused the answer to a ping lies unread: it must not count as missing."""
        while True:
            if self._paused:
                self._client._ping_t = 0.0
            if self._client.loop_misc() != paho.MQTT_ERR_SUCCESS:
                return
            await asyncio.sleep(1)

    def _translated(self, error: aiomqtt.MqttError, *, opening: bool = False) -> HubqueueError:
        """aiomqtt's error as ours, in words that say what to do."""
        code = getattr(error, "rc", None)
        number = code.value if isinstance(code, ReasonCode) else code
        text = str(code) if isinstance(code, ReasonCode) else str(error)
        text = _CLEARER.get(text, text)
        if isinstance(error, MqttConnectError) and number in _BAD_VERSION:
            return VersionRefused(f"MQTT broker {self._broker.url}: {text}")
        if isinstance(error, MqttConnectError) and number in _BAD_LOGIN:
            hint = "check username and password" if self._broker.username else "it wants a username and password"
            return NotAuthenticated(f"MQTT broker {self._broker.url} refused the login: {text}", hint=hint)
        if opening and self._five and text in (_UNANSWERED, _TIMED_OUT):  # 3.1.1 brokers may wait or hang up
            return VersionRefused(f"MQTT broker {self._broker.url}: {text}")
        known = next((hint for part, hint in _HINTS if part in text), None)
        return LinkDown(f"MQTT broker {self._broker.url}: {text}", hint=known)


def _connect_properties(broker: Broker) -> Properties:
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = broker.session_expiry_s
    properties.ReceiveMaximum = broker.receive_maximum
    return properties


def _shared(text: str) -> bool:
    """A shared subscription may not ask for noLocal. Source: MQTT 5.0, section 3.8.3.1."""
    return text.startswith("$share/")
