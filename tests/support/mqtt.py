"""What tests of the MQTT side share: a publisher and subscriber of its own, and a link that collects."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import aiomqtt

from hubqueue.mqtt.link import Link, LinkState
from hubqueue.mqttclient.broker import Broker
from hubqueue.mqttclient.connection import Asked, Status
from hubqueue.mqttclient.message import Message
from support.waiting import until


def near(port: int, **more: object) -> Broker:
    """A broker that is tried again at once, so that tests need not wait."""
    settings = {"port": port, "backoff_first_s": 0.05, "backoff_max_s": 0.2, "timeout_s": 5.0, **more}
    return Broker(**settings)  # type: ignore[arg-type]


@asynccontextmanager
async def client(port: int, name: str = "test", **more: object) -> AsyncIterator[aiomqtt.Client]:
    """A plain client of the broker."""
    settings = {"identifier": name, "protocol": aiomqtt.ProtocolVersion.V5, "clean_start": True, **more}
    async with aiomqtt.Client("127.0.0.1", port, **settings) as connected:  # type: ignore[arg-type]
        connected.pending_calls_threshold = 1_000_000
        yield connected


async def publish(port: int, messages: Sequence[tuple[str, bytes]], *, qos: int = 1, window: int = 100) -> None:
    """Publish all of them, each topic in order, acknowledged by the broker."""
    async with client(port, "publisher") as sender:
        for start in range(0, len(messages), window):
            part = messages[start : start + window]
            await asyncio.gather(*(sender.publish(topic, payload, qos=qos, timeout=60) for topic, payload in part))


class Collecting:
    """A link whose messages are collected, and acknowledged only when told."""

    def __init__(
        self,
        broker: Broker,
        subscriptions: Mapping[str, int],
        *,
        client_id: str = "hub",
        acknowledge: bool = True,
        status: Status | None = None,
    ) -> None:
        self.messages: list[Message] = []
        self.states: list[LinkState] = []
        self.sessions: list[bool] = []
        self._asked = [Asked(topic, qos) for topic, qos in subscriptions.items()]
        self._acknowledge = acknowledge
        self.link = Link(
            broker,
            client_id,
            self._wanted,
            begun=lambda present, named: self.sessions.append(present),
            received=self._received,
            changed=self.states.append,
            status=status,
        )

    async def __aenter__(self) -> Collecting:
        self.link.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.link.close()

    async def up(self) -> None:
        await until(lambda: self.link.state.up)

    async def down(self) -> LinkState:
        """Wait until it is down and says why."""
        await until(lambda: not self.link.state.up and self.link.state.error is not None)
        return self.link.state

    async def received(self, count: int) -> list[Message]:
        await until(lambda: len(self.messages) >= count)
        return self.messages

    async def _wanted(self, named: bool) -> list[Asked]:
        return self._asked

    def _received(self, message: Message) -> None:
        self.messages.append(message)
        if self._acknowledge and message.mid:
            self.link.acknowledge([message.mid])
