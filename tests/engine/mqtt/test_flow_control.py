"""The hub's own flow control: it does not rely on what the broker makes of Receive Maximum or of packet ids."""

from __future__ import annotations

import asyncio
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from hubqueue.mqtt.bridge import Bridge
from hubqueue.mqtt.entry import Entry
from hubqueue.mqtt.inflight import Delivery, Inflight
from hubqueue.mqtt.kept import OpenIds
from hubqueue.mqtt.rules import Rule
from hubqueue.mqttclient.broker import Broker
from support.bridged import bridged, data, jobs, opened
from support.mosquitto import VERSIONS, Mosquitto
from support.mqtt import publish
from support.scripted_broker import Client, ScriptedBroker
from support.waiting import until

READINGS = Rule(topic="s/{room}", queue="readings")


@pytest.fixture
def most_open(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many messages were open after each that was taken."""
    found: list[int] = []
    take = Inflight.take

    def counted(self: Inflight, message: Any) -> Delivery | None:
        delivery = take(self, message)
        found.append(len(self))
        return delivery

    monkeypatch.setattr(Inflight, "take", counted)
    return found


@pytest.mark.parametrize("first", ["the answer to SUBSCRIBE", "the messages"])
@pytest.mark.parametrize("maximum", [1, 20])
async def test_a_broker_that_sends_everything_at_once_is_held_back(
    tmp_path: Path, most_open: list[int], maximum: int, first: str
) -> None:
    count = 100 * maximum

    async def flood(client: Client) -> None:
        if first != "the messages":
            await client.asked.wait()  # and no longer: whatever else the hub asks for is answered behind them
        for number in range(count):
            client.publish(number % 65_535 + 1, "s/a", b"%d" % number)

    async with (
        ScriptedBroker(flood) as broker,
        opened(tmp_path) as hub,
        bridged(hub, broker.port, [READINGS], version="5", receive_maximum=maximum, keepalive_s=1) as bridge,
    ):
        await until(lambda: len(broker.clients[0].acknowledged) == count)
        assert max(most_open) == maximum
        assert len(broker.clients) == 1  # pings and acknowledgements went on
        assert [data(job)["payload"] for job in await jobs(hub, "readings")] == list(range(count))
        assert bridge.stats.acknowledged == count


@pytest.mark.parametrize("mosquitto", VERSIONS)
@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_mosquitto_is_held_back_once_acknowledgements_begin(
    tmp_path: Path, most_open: list[int], mosquitto: str, version: str
) -> None:
    """2.0 sends far more than Receive Maximum then; with MQTT 3.1.1 only its own limit holds it back."""
    lines = ("max_inflight_messages 0", "log_type error")
    async with Mosquitto(tmp_path, mosquitto, lines=lines) as broker, opened(tmp_path) as hub:
        async with bridged(hub, broker.port, [READINGS], version=version):
            pass
        await publish(broker.port, [("s/a", b"%d" % number) for number in range(2000)])
        async with bridged(hub, broker.port, [READINGS], version=version, receive_maximum=50) as bridge:
            await publish(broker.port, [("s/a", b"%d" % number) for number in range(2000, 3000)])
            await until(lambda: bridge.stats.acknowledged == 3000)
            assert bridge.unacknowledged == 0
            assert [data(job)["payload"] for job in await jobs(hub, "readings")] == list(range(3000))
    if version == "5":
        assert max(most_open) == 50


async def test_a_hub_that_takes_no_jobs_is_held_back_and_stays_connected(tmp_path: Path, most_open: list[int]) -> None:
    async with Mosquitto(tmp_path) as broker, opened(tmp_path) as hub:
        more: dict[str, object] = {"receive_maximum": 20, "keepalive_s": 1}
        async with bridged(hub, broker.port, [READINGS], **more) as bridge:
            hub.over_cap = True
            await publish(broker.port, [("s/a", b"%d" % number) for number in range(100)])
            await until(lambda: bridge.unacknowledged == 20)
            since = bridge.links[""].since_ms
            pings = broker.log().count("PINGREQ")
            await until(lambda: broker.log().count("PINGREQ") > pings + 2)
            hub.over_cap = False
            await until(lambda: bridge.stats.acknowledged == 100)
            assert bridge.links[""].since_ms == since
        assert max(most_open) == 20


async def test_a_hub_that_takes_no_jobs_is_held_back_from_the_first_message_on(
    tmp_path: Path, most_open: list[int]
) -> None:
    """And the broker is given the time that this takes: its answers lie behind what it sent."""

    async def flood(client: Client) -> None:
        for number in range(100):
            client.publish(number + 1, "s/a", b"%d" % number)

    async with ScriptedBroker(flood) as broker, opened(tmp_path) as hub:
        hub.over_cap = True
        settings = Broker(port=broker.port, version="5", receive_maximum=20, timeout_s=0.5)
        bridge = Bridge(hub, settings, [READINGS], version="1.2.3")
        await bridge.start()
        await until(lambda: bridge.unacknowledged == 20)
        await asyncio.sleep(3 * settings.timeout_s)  # to wait longer is no harm: nothing may happen
        hub.over_cap = False
        await until(lambda: len(broker.clients[0].acknowledged) == 100)
        await until(lambda: bridge.links[""].up)
        await bridge.close()
        assert len(broker.clients) == 1
        assert max(most_open) == 20
        assert [data(job)["payload"] for job in await jobs(hub, "readings")] == list(range(100))


@pytest.mark.parametrize("early", [False, True])
async def test_a_packet_id_that_is_used_twice_at_once_costs_the_connection_and_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, early: bool
) -> None:
    async def confused(client: Client) -> None:
        await until(lambda: early or "s/+" in client.subscribed)
        if len(broker.clients) == 1:
            client.publish(7, "s/a", b"1")
            client.publish(7, "s/a", b"2")
        else:
            client.publish(7, "s/a", b"1", again=True)
            client.publish(8, "s/a", b"2")

    async with ScriptedBroker(confused) as broker, opened(tmp_path) as hub:
        hub.over_cap = True  # so that the first is open for certain
        async with bridged(hub, broker.port, [READINGS], version="5") as bridge:
            await until(lambda: len(broker.clients) == 2 and bridge.unacknowledged == 2)
            hub.over_cap = False
            await until(lambda: broker.clients[1].acknowledged == [7, 8])
            assert Counter(data(job)["payload"] for job in await jobs(hub, "readings")) == Counter([1, 2])
            assert (bridge.stats.received, bridge.stats.redelivered) == (2, 1)
    assert [record for record in caplog.records if "packet id 7 for two messages" in record.getMessage()]


async def test_a_broker_without_identifiers_gets_a_connection_for_each_overlapping_filter(tmp_path: Path) -> None:
    rules = [Rule(topic="farm/+/t", queue="t"), Rule(topic="farm/barn/#", queue="barn"), READINGS]
    async with (
        ScriptedBroker(named=False) as broker,
        opened(tmp_path) as hub,
        bridged(hub, broker.port, rules, version="5") as bridge,
    ):
        main = f"hubqueue-{hub.hub_id}"
        asked = {client.id: client.subscribed for client in broker.clients}
        assert {id: set(filters) for id, filters in asked.items()} == {
            main: {"s/+", "hubqueue/+/invoke", "hubqueue/+/messages"},
            f"{main}~1": {"farm/+/t"},
            f"{main}~2": {"farm/barn/#"},
        }
        assert {id for filters in asked.values() for id in filters.values()} == {0}
        assert set(bridge.links) == {"", "~1", "~2"}
        for number, id in enumerate((f"{main}~1", f"{main}~2")):
            client = broker.of(id)
            assert client is not None
            client.publish(1, "farm/barn/t", b"%d" % number)
        await until(lambda: bridge.stats.enqueued == 2 and not bridge.unacknowledged)
        assert [len(await jobs(hub, queue)) for queue in ("t", "barn")] == [1, 1]
        assert (bridge.stats.received, bridge.stats.copies) == (1, 1)


async def test_a_broker_with_identifiers_gets_one_for_each_subscription_and_keeps_it(tmp_path: Path) -> None:
    rules = [Rule(topic="farm/+/t", queue="t"), Rule(topic="farm/barn/#", queue="barn")]
    async with ScriptedBroker() as broker:
        async with opened(tmp_path) as hub, bridged(hub, broker.port, rules, version="5"):
            first = dict(broker.clients[0].subscribed)
        async with (
            opened(tmp_path) as hub,
            bridged(hub, broker.port, [Rule(topic="new/+", queue="n"), *reversed(rules)], version="5") as bridge,
        ):
            second = dict(broker.clients[-1].subscribed)
            client = broker.of(f"hubqueue-{hub.hub_id}")
            assert client is not None
            client.publish(1, "farm/barn/t", b"1", ids=(first["farm/barn/#"], first["farm/+/t"]))
            client.publish(2, "farm/barn/t", b"2", ids=(first["farm/barn/#"],))
            await until(lambda: bridge.stats.enqueued == 3 and not bridge.unacknowledged)
            assert [data(job)["payload"] for job in await jobs(hub, "barn")] == [1, 2]
            assert [data(job)["payload"] for job in await jobs(hub, "t")] == [1]
    assert len(set(second.values())) == len(second)
    assert 0 not in second.values()
    assert {topic: id for topic, id in second.items() if topic in first} == first


async def test_ids_of_a_session_that_is_gone_are_not_relied_on_once_its_successor_is_subscribed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new session begins its packet ids anew, and a device may say the same again."""
    left: list[bytes] = []

    async def stay(entry: Entry) -> None:
        """Nothing is acknowledged."""

    monkeypatch.setattr(Entry, "_leave", stay)
    async with opened(tmp_path) as hub:

        async def script(client: Client) -> None:
            if len(broker.clients) > 1:
                left.append(await OpenIds(hub, client.id).read())  # what a process killed now would leave
            await until(lambda: "s/+" in client.subscribed)
            left.append(await OpenIds(hub, client.id).read())
            if len(broker.clients) == 1:
                client.publish(7, "s/a", b"1")

        async with (
            ScriptedBroker(script) as broker,
            bridged(hub, broker.port, [READINGS], version="5") as bridge,
        ):
            await until(lambda: bridge.stats.enqueued == 1)
            assert await OpenIds(hub, broker.clients[0].id).read() != b""
            broker.keeps_sessions = False
            broker.clients[0].cut()
            await until(lambda: len(left) == 3)
    assert left == [b"", b"", b""]
