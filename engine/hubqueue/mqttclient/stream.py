"""The socket side of a connection: bytes between the loop and paho, and messages out of them.

It differs from aiomqtt.Client in that it reads and splits the stream itself (`packets`; paho takes four recv calls a
packet), hands messages over at once instead of through a queue with a task per message, and lets a thread do no more
than dial: a connection that is given up half open leaves nothing behind that touches the loop later (a socket that is
closed while it is registered ends the process: epoll refuses it, libuv aborts). It leans on private parts of
both (`_create_socket`, `_packet_handle`, `_loop_rc_handle`, `_sock_close`, `_ping_t`, ...): in what versions of them,
says `libraries`.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Final

import aiomqtt
import paho.mqtt.client as paho

from hubqueue.errors import ProtocolError
from hubqueue.mqttclient.broker import Broker
from hubqueue.mqttclient.message import Message
from hubqueue.mqttclient.packets import PUBACK, PUBLISH, QOS_1, QOS_2, Packet, Splitter, read_publish

log = logging.getLogger(__name__)

_ID_BYTES: Final = 2  # of the packet id that a PUBACK begins with
_READ_BYTES: Final = 65_536  # a few hundred readings: about 2 ms of the loop


class Stream(aiomqtt.Client):
    """A client whose socket is ours. Settings are those of aiomqtt.Client."""

    def __init__(
        self,
        broker: Broker,
        received: Callable[[Message], None],
        context: ssl.SSLContext | None,
        *,
        five: bool,
        **settings: Any,
    ) -> None:
        super().__init__(broker.host, broker.port, **settings)
        self._broker = broker
        self._received = received
        self._context = context
        self._five = five
        self._paused = False
        self._sifting = False
        self._was_paused = False  # since the last look at the pings
        self._resumed_at_s = 0.0
        self._splitter = Splitter(broker.max_packet_bytes)
        self._codes: dict[int, int] = {}  # reason codes of PUBACKs, by packet id: paho is not shown them
        self._split: deque[Packet] = deque()  # read and not taken: what stood behind the packet that made us pause

    @property
    def ended(self) -> bool:
        return self._disconnected.done()

    def abort(self) -> None:
        """Drop the socket; harmless when there is none."""
        self._client._sock_close()
        if not self._disconnected.done():
            self._disconnected.set_result(None)
        self._disconnected.exception()  # read, so that asyncio does not call it forgotten

    def pause(self) -> None:
        """Take no more, from this packet on, so that the broker holds the rest; pings and what we send go on."""
        sock: Any = self._client.socket()
        if sock is not None and not self._paused:
            self._paused = self._was_paused = True
            self._loop.remove_reader(sock.fileno())

    def sift(self) -> None:
        """Take no more messages that want an acknowledgement: answers are read as long as none stands before them."""
        self._sifting = True

    def resume(self) -> None:
        """Read on."""
        self._sifting = False
        sock: Any = self._client.socket()
        if sock is not None and self._paused:
            self._paused = False
            self._resumed_at_s = self._loop.time()
            self._loop.add_reader(sock.fileno(), self._readable)
            self._loop.call_soon(self._readable)  # for what was read already, here or by TLS

    async def log_in(self) -> None:
        """Dial, send CONNECT and wait for its answer. Errors: aiomqtt.MqttError, OSError."""
        dialled = self._loop.run_in_executor(None, self._dial)
        try:
            sock = await asyncio.shield(dialled)
        except asyncio.CancelledError:
            dialled.add_done_callback(_hang_up)
            raise
        self._client._create_socket = lambda: sock  # type: ignore[method-assign]
        self._client_connect()
        try:  # not asyncio.wait_for, which up to Python 3.11 may swallow a cancellation
            async with asyncio.timeout(self.timeout):
                await asyncio.shield(self._connected)
        except TimeoutError:
            raise aiomqtt.MqttError("Operation timed out") from None

    def _dial(self) -> socket.socket:
        """TCP, then TLS; in a thread of its own, since it blocks."""
        try:
            plain = socket.create_connection((self._broker.host, self._broker.port), self._broker.timeout_s)
        except UnicodeError as error:
            raise OSError(f"{self._broker.host!r} is not a host name") from error
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

    def _on_socket_open(self, client: paho.Client, userdata: Any, sock: Any) -> None:
        self._loop.add_reader(sock.fileno(), self._readable)
        self._misc_task = self._loop.create_task(self._misc_loop())

    def _readable(self) -> None:
        """Take what has come. Whatever goes wrong here ends the connection, never the loop."""
        try:
            while (sock := self._take_split()) is not None:
                data = sock.recv(_READ_BYTES)
                if not data:
                    self._client._loop_rc_handle(paho.MQTT_ERR_CONN_LOST)
                    return
                self._client._last_bytes_received = time.monotonic()
                self._split += self._splitter.feed(data)
                sock = self._take_split()
                if not isinstance(sock, ssl.SSLSocket) or not sock.pending():
                    return
        except (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return
        except (OSError, ProtocolError) as error:
            self._end(error)
        except Exception as error:
            log.exception("the MQTT connection is closed because a message was not taken")
            self._end(error)

    def _take_split(self) -> Any:
        """Take the packets that were read; the socket if there is room for more, else None."""
        if self._client.socket() is None:
            return None
        while self._split and not self._paused:
            if self._sifting and self._split[0].header & (0xF0 | QOS_1) == PUBLISH | QOS_1:
                self.pause()
            else:
                self._take(self._split.popleft())
        return None if self._paused else self._client.socket()

    def _take(self, packet: Packet) -> None:
        if packet.header & 0xF0 == PUBLISH and not packet.header & QOS_2:
            self._received(read_publish(packet, five=self._five))
            return
        body = packet.body
        if packet.header & 0xF0 == PUBACK and len(body) > _ID_BYTES:
            self._codes[int.from_bytes(body[:_ID_BYTES], "big")] = body[_ID_BYTES]
            body = body[:_ID_BYTES]
        self._client._in_packet = {
            "command": packet.header,
            "have_remaining": 1,
            "remaining_count": [],
            "remaining_mult": 1,
            "remaining_length": len(body),
            "packet": bytearray(body),
            "to_process": 0,
            "pos": 0,
        }
        code = self._client._packet_handle()
        if code != paho.MQTT_ERR_SUCCESS:
            self._client._loop_rc_handle(code)
        if self._client.socket() is None:
            self._split.clear()  # what came behind the end

    def unanswered_s(self, asked_at_s: float) -> float:
        """How long the broker owes an answer: while messages before it are not taken, it may be there."""
        return 0.0 if self._paused else self._loop.time() - max(asked_at_s, self._resumed_at_s)

    def _end(self, error: Exception) -> None:
        """The stream cannot be understood any further."""
        self._client._sock_close()
        if not self._connected.done():
            self._connected.set_exception(aiomqtt.MqttError(str(error)))
        elif not self._disconnected.done():
            self._disconnected.set_exception(aiomqtt.MqttError(str(error)))

    def _on_socket_register_write(self, client: paho.Client, userdata: Any, sock: Any) -> None:
        """At once: aiomqtt takes the number of the socket now and uses it later, when it may be another's."""
        self._loop.add_writer(sock.fileno(), self._writable)

    def _writable(self) -> None:
        try:
            self._client.loop_write()
        except OSError as error:
            self._end(error)

    def _on_message(self, client: paho.Client, userdata: Any, message: paho.MQTTMessage) -> None:
        """A QoS 2 message, of a session that an earlier client left: paho has acknowledged it already."""
        self._received(Message(message.topic, bytes(message.payload), message.qos, bool(message.retain)))

    async def _misc_loop(self) -> None:
        """Pings, once a second. While paused the answer to a ping lies unread: it must not count as missing.

        Nor after a pause, however short, for it may lie behind messages that we are not taking faster.
        """
        while True:
            if self._paused or self._was_paused:
                self._was_paused = False
                self._client._ping_t = 0.0
            if self._client.loop_misc() != paho.MQTT_ERR_SUCCESS:
                return
            await asyncio.sleep(1)


def _hang_up(dialled: asyncio.Future[socket.socket]) -> None:
    """Nobody waits for this socket any more."""
    if not dialled.cancelled() and dialled.exception() is None:
        dialled.result().close()
