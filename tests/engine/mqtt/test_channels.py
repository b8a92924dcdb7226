"""Channels over a real Mosquitto: both ways, once, and never round and round."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hubqueue.hub.hub import Hub
from hubqueue.model.channel import ChannelMessage
from hubqueue.model.payload import decode, encode
from hubqueue.mqtt.bridge import Bridge
from hubqueue.mqtt.rules import Rule
from support.mosquitto import Mosquitto
from support.mqtt import client, near, publish
from support.waiting import in_time, until

Heard = list[tuple[str, Any]]


@asynccontextmanager
async def bridged(folder: Path, port: int, *rules: Rule, channels: bool = True, **more: object) -> AsyncIterator[Hub]:
    """A hub whose link to the broker is up."""
    async with await Hub.open(folder.with_suffix(".db")) as hub:
        bridge = Bridge(hub, near(port, **more), rules, version="1", channels=channels)
        await bridge.start()
        try:
            await until(lambda: bridge.links[""].up)
            yield hub
        finally:
            await bridge.close()


def listen(hub: Hub) -> Heard:
    """Everything that is said on any channel from now on."""
    heard: Heard = []

    def hear(message: ChannelMessage) -> None:
        heard.append((message.channel, decode(message.data)))

    hub.channels.subscribe("*", hear)
    return heard


async def queued(hub: Hub) -> None:
    """A job waits in queue q."""

    async def waits() -> bool:
        return bool((await hub.counts("q")).waiting)

    await until(waits)


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_what_a_hub_says_reaches_the_broker_and_other_hubs_once(tmp_path: Path, protocol: str) -> None:
    async with (
        Mosquitto(tmp_path) as broker,
        bridged(tmp_path / "a", broker.port, version=protocol) as one,
        bridged(tmp_path / "b", broker.port, version=protocol) as two,
        client(broker.port, "listener") as listener,
    ):
        await listener.subscribe("hubqueue/+/messages", qos=0)
        heard = listen(one), listen(two)
        for number in range(20):
            one.channels.publish("doors", encode({"n": number}))
        two.channels.publish("last", encode("done"))
        await until(lambda: all(("last", "done") in each and len(each) >= 21 for each in heard))
        await publish(broker.port, [("hubqueue/marker/messages", b"1")])  # whatever circulates comes before it
        await until(lambda: all(("marker", 1) in each for each in heard))
        expected = [("doors", {"n": number}) for number in range(20)]
        for each in heard:
            assert [told for told in each if told[0] == "doors"] == expected
            assert len(each) == 22
        seen: list[tuple[str, bytes]] = []
        async with in_time():
            async for message in listener.messages:
                assert isinstance(message.payload, bytes)
                seen.append((message.topic.value, message.payload))
                if message.topic.value == "hubqueue/marker/messages":
                    break
        assert [told for told in seen if "doors" in told[0]] == [
            ("hubqueue/doors/messages", msgspec.json.encode({"n": number})) for number in range(20)
        ]
        assert len(seen) == 22


@pytest.mark.parametrize(
    ("payload", "data"),
    [
        (b'{"a": [1, null]}', {"a": [1, None]}),
        (b"21.5", 21.5),
        (b"open", "open"),
        (b"", None),
        (b"\xff\x00", b"\xff\x00"),
        (b'{"a":', '{"a":'),
    ],
)
async def test_a_payload_is_json_else_text_else_bytes(tmp_path: Path, payload: bytes, data: object) -> None:
    async with Mosquitto(tmp_path) as broker, bridged(tmp_path, broker.port) as hub:
        heard = listen(hub)
        await publish(broker.port, [("hubqueue/c/messages", payload)])
        await until(lambda: bool(heard))
        assert heard == [("c", data)]


async def test_messages_of_channels_become_no_jobs_unless_a_rule_takes_them(tmp_path: Path) -> None:
    rule = Rule(topic="hubqueue/taken/messages", queue="q")
    async with Mosquitto(tmp_path) as broker, bridged(tmp_path, broker.port, rule) as hub:
        heard = listen(hub)
        await publish(broker.port, [("hubqueue/left/messages", b"1"), ("hubqueue/taken/messages", b"2")])
        await until(lambda: len(heard) == 2)
        await queued(hub)
        assert [info.name for info in await hub.queues()] == ["q"]
        assert sorted(heard) == [("left", 1), ("taken", 2)]


async def test_a_retained_message_is_not_said_again(tmp_path: Path) -> None:
    async with Mosquitto(tmp_path) as broker:
        async with client(broker.port) as sender:
            await sender.publish("hubqueue/old/messages", b"1", retain=True, qos=1)
        async with bridged(tmp_path, broker.port) as hub:
            heard = listen(hub)
            await publish(broker.port, [("hubqueue/new/messages", b"2")])
            await until(lambda: ("new", 2) in heard)
            assert heard == [("new", 2)]


async def test_switched_off_channels_stay_in_the_hub(tmp_path: Path) -> None:
    rule = Rule(topic="marker", queue="q")
    async with Mosquitto(tmp_path) as broker, bridged(tmp_path, broker.port, rule, channels=False) as hub:
        heard = listen(hub)
        await publish(broker.port, [("hubqueue/c/messages", b"1"), ("marker", b"1")])
        await queued(hub)
        assert heard == []


async def test_a_hub_without_its_broker_goes_on_and_drops_what_it_would_say(tmp_path: Path) -> None:
    async with Mosquitto(tmp_path) as broker, bridged(tmp_path, broker.port) as hub:
        broker.kill()
        heard = listen(hub)
        for number in range(5000):
            hub.channels.publish("c", encode(number))
        assert len(heard) == 5000
        await broker.start()
        await publish(broker.port, [("hubqueue/back/messages", b"1")])
        async with in_time():
            while ("back", 1) not in heard:
                await publish(broker.port, [("hubqueue/back/messages", b"1")])
                await asyncio.sleep(0.1)
