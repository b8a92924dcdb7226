"""Channels between the hub and its broker: `hubqueue/<channel>/messages`, both ways, QoS 0, nothing retained.

What came from the broker is not sent back to it. What the hub published comes back only where MQTT 3.1.1 is spoken
(MQTT 5 has noLocal); it is recognised by its bytes and left out. While the link is down messages are dropped: a
channel reaches who listens now.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

import msgspec

from hubqueue.errors import HubqueueError, LinkDown, PayloadTooLarge
from hubqueue.hub.channels import Channels
from hubqueue.ingest.tasks import watched
from hubqueue.model import payload as carried
from hubqueue.model.channel import EVERY_CHANNEL, ChannelMessage
from hubqueue.model.encoding import text_of
from hubqueue.model.jsontext import read_json
from hubqueue.model.topic import TopicFilter
from hubqueue.mqtt.link import LinkState
from hubqueue.mqttclient.message import Message
from hubqueue.wire.jsondata import plain

log = logging.getLogger(__name__)

MESSAGES: Final = TopicFilter("hubqueue/{channel}/messages")
TOPIC: Final = "hubqueue/{channel}/messages"
MAX_WAITING: Final = 1000  # messages on their way to the broker; the oldest are dropped beyond
ECHO_S: Final = 10.0  # an own message that has not come back by then will not

_json: Final = msgspec.json.Encoder().encode

Publish = Callable[[str, bytes], Awaitable[None]]


class ChannelBridge:
    """`start` until `close`. publish raises LinkDown; link says how the link is now."""

    def __init__(self, channels: Channels, publish: Publish, link: Callable[[], LinkState]) -> None:
        self.filter = MESSAGES
        self._channels = channels
        self._publish = publish
        self._link = link
        self._waiting: deque[tuple[str, bytes]] = deque(maxlen=MAX_WAITING)
        self._wake = asyncio.Event()
        self._echoes: deque[tuple[float, str, bytes]] = deque(maxlen=MAX_WAITING)
        self._stop: Callable[[], None] | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._stop = self._channels.subscribe(EVERY_CHANNEL, self._hear)
        self._task = watched(self._send(), "mqtt-channels")

    async def close(self) -> None:
        """Send nothing more."""
        if self._stop is not None:
            self._stop()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def received(self, message: Message) -> None:
        """Take a message of the broker on a channel's topic."""
        parts = MESSAGES.match(message.topic)
        if parts is None or message.retain or message.missing or self._is_echo(message):
            return
        try:
            self._channels.publish(parts["channel"], _data(message.payload), source=self)
        except HubqueueError:  # no name for a channel, or too large: nobody can listen to it
            pass

    def _hear(self, message: ChannelMessage) -> None:
        if message.source is not self and self._link().up:
            self._waiting.append((TOPIC.format(channel=message.channel), _payload(message.data)))
            self._wake.set()

    async def _send(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                topic, payload = self._waiting.popleft()
                if self._link().version == "3.1.1":
                    self._echoes.append((asyncio.get_running_loop().time(), topic, payload))
                try:
                    await self._publish(topic, payload)
                except LinkDown:
                    self._waiting.clear()
                except PayloadTooLarge as error:
                    log.warning("a message of a channel is not sent to the broker: %s topic=%s", error, topic)

    def _is_echo(self, message: Message) -> bool:
        """Whether it is the hub's own. Echoes come back in order, so the oldest that is alike is the one."""
        oldest_s = asyncio.get_running_loop().time() - ECHO_S
        while self._echoes and self._echoes[0][0] < oldest_s:
            self._echoes.popleft()
        for echo in self._echoes:
            if echo[1:] == (message.topic, message.payload):
                self._echoes.remove(echo)
                return True
        return False


def _data(payload: bytes) -> bytes:
    """What a message says: JSON, else text, else bytes; nothing is null."""
    if not payload:
        return carried.NULL
    for read in (read_json, text_of):
        try:
            return carried.encode(read(payload))
        except HubqueueError:
            pass
    return carried.encode(payload)


def _payload(data: bytes) -> bytes:
    """JSON; bytes as they are."""
    try:
        value = carried.decode(data)
    except HubqueueError:
        return data
    return value if isinstance(value, bytes) else _json(plain(value))
