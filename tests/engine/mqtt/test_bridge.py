"""The bridge: a real Mosquitto, a real job file, and what lies between them."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hubqueue.hub.settings import HubSettings
from hubqueue.hub.verbs.ingest import UNROUTABLE
from hubqueue.hub.verbs.overflow import MAX_OVERFLOW, OVERFLOW
from hubqueue.ingest.batches import BATCH
from hubqueue.model.bounds import QueueBounds
from hubqueue.model.decode import Decode, Payload
from hubqueue.model.job import Dedup, Options
from hubqueue.model.state import State
from hubqueue.mqtt.inflight import ENTRY_BYTES
from hubqueue.mqtt.reroute import RulesAgain
from hubqueue.mqtt.rules import Rule
from support.bridged import bridged, data, jobs, opened
from support.mosquitto import VERSIONS, Mosquitto
from support.mqtt import client, publish
from support.proxy import Proxy
from support.waiting import at_once, until

READINGS = Rule(topic="s/{room}", queue="readings")


def numbered(count: int, start: int = 0) -> list[tuple[str, bytes]]:
    return [("s/hall", b"%d" % number) for number in range(start, start + count)]


async def test_messages_become_jobs_in_order_and_are_acknowledged(tmp_path: Path) -> None:
    async with Mosquitto(tmp_path) as broker, opened(tmp_path) as hub, bridged(hub, broker.port, [READINGS]) as bridge:
        await publish(broker.port, numbered(500))
        await until(lambda: bridge.stats.acknowledged == 500)
        found = await jobs(hub, "readings")
        assert [data(job)["payload"] for job in found] == list(range(500))
        assert data(found[0])["parts"] == {"room": "hall"}
        assert bridge.unacknowledged == 0
        assert bridge.stats.enqueued == 500


@pytest.mark.parametrize("version", ["5", "3.1.1"])
@pytest.mark.parametrize("mosquitto", VERSIONS)
async def test_what_is_published_while_the_hub_is_down_arrives_when_it_is_back(
    tmp_path: Path, mosquitto: str, version: str
) -> None:
    async with Mosquitto(tmp_path, mosquitto) as broker:
        async with opened(tmp_path) as hub, bridged(hub, broker.port, [READINGS], version=version):
            pass
        await publish(broker.port, numbered(100))
        async with opened(tmp_path) as hub, bridged(hub, broker.port, [READINGS], version=version) as bridge:
            await until(lambda: bridge.stats.acknowledged == 100)
            assert [data(job)["payload"] for job in await jobs(hub, "readings")] == list(range(100))


@pytest.mark.parametrize("version", ["5", "3.1.1"])
@pytest.mark.parametrize("mosquitto", VERSIONS)
async def test_p2_no_message_is_lost_over_cut_links(tmp_path: Path, mosquitto: str, version: str) -> None:
    async with (
        Mosquitto(tmp_path, mosquitto) as broker,
        Proxy(broker.port) as proxy,
        opened(tmp_path) as hub,
        bridged(hub, proxy.port, [READINGS], version=version) as bridge,
    ):
        for start in range(0, 1000, 100):
            await publish(broker.port, numbered(100, start))
            proxy.cut()
        await publish(broker.port, [("s/last", b"-1")])  # comes after all of them
        found: list[Any] = []
        while -1 not in found:
            await until(lambda: bridge.unacknowledged == 0)
            found = [data(job)["payload"] for job in await jobs(hub, "readings")]
        assert set(found) == set(range(-1, 1000))
        assert list(dict.fromkeys(found)) == [*range(1000), -1]  # in order; a second copy may come later
        assert bridge.stats.enqueued == len(found)


async def test_a_message_that_no_rule_can_read_is_kept_as_unroutable(tmp_path: Path) -> None:
    async with Mosquitto(tmp_path) as broker, opened(tmp_path) as hub, bridged(hub, broker.port, [READINGS]) as bridge:
        await publish(broker.port, [("s/hall", b"\xff{"), ("s/hall", b"1")])
        await until(lambda: bridge.stats.acknowledged == 2)
        (dead,) = await jobs(hub, UNROUTABLE, State.FAILED)
        assert dead.history.reason == "undecodable"
        assert "not valid UTF-8 at byte 0" in str(dead.history.error)
        assert data(dead)["payload"] == b"\xff{"
        assert (bridge.stats.unroutable, bridge.stats.enqueued) == (1, 1)


async def test_conditions_leave_messages_out_and_they_are_acknowledged(tmp_path: Path) -> None:
    rule = Rule(topic="s/{room}", queue="readings", where="payload > 5")
    async with Mosquitto(tmp_path) as broker, opened(tmp_path) as hub, bridged(hub, broker.port, [rule]) as bridge:
        await publish(broker.port, numbered(10))
        await until(lambda: bridge.stats.acknowledged == 10)
        assert (bridge.stats.passed, bridge.stats.enqueued) == (6, 4)
        assert len(await jobs(hub, "readings")) == 4


async def test_a_full_queue_does_not_hold_back_the_others(tmp_path: Path) -> None:
    full = HubSettings(queues={"small": QueueBounds(max_jobs=3), "strict": QueueBounds(max_jobs=3)})
    rules = [
        Rule(topic="s/{room}", queue="small", on_full="overflow"),
        Rule(topic="s/{room}", queue="strict", on_full="drop"),
        READINGS,
    ]
    async with Mosquitto(tmp_path) as broker, opened(tmp_path, full) as hub, bridged(hub, broker.port, rules) as bridge:
        await publish(broker.port, numbered(10))
        await until(lambda: bridge.stats.acknowledged == 10)
        assert len(await jobs(hub, "readings")) == 10
        assert [data(job)["payload"] for job in await jobs(hub, "small")] == [0, 1, 2]
        moved = await jobs(hub, OVERFLOW)
        assert [data(job)["payload"] for job in moved] == list(range(3, 10))
        assert {job.options.tags for job in moved} == {("queue:small",)}
        assert (bridge.stats.overflowed, bridge.stats.dropped) == (7, 7)


async def test_a_full_overflow_queue_drops_and_counts(tmp_path: Path) -> None:
    full = HubSettings(queues={"small": QueueBounds(max_jobs=1), OVERFLOW: QueueBounds(max_jobs=2)})
    rule = Rule(topic="s/{room}", queue="small")
    async with (
        Mosquitto(tmp_path) as broker,
        opened(tmp_path, full) as hub,
        bridged(hub, broker.port, [rule]) as bridge,
    ):
        await publish(broker.port, numbered(10))
        await until(lambda: bridge.stats.acknowledged == 10)
        assert (bridge.stats.enqueued, bridge.stats.overflowed, bridge.stats.dropped) == (1, 2, 7)
        assert MAX_OVERFLOW > 2


async def test_a_hub_that_takes_no_jobs_holds_messages_and_goes_on_by_itself(tmp_path: Path) -> None:
    async with Mosquitto(tmp_path) as broker, opened(tmp_path) as hub:
        async with bridged(hub, broker.port, [READINGS], receive_maximum=20) as bridge:
            hub.over_cap = True  # the job file has reached its configured size
            await publish(broker.port, numbered(100))
            await until(lambda: bridge.stats.received == 20)
            assert bridge.stats.acknowledged == 0
            assert bridge.unacknowledged == 20
            hub.over_cap = False
            await until(lambda: bridge.stats.acknowledged == 100)
        assert [data(job)["payload"] for job in await jobs(hub, "readings")] == list(range(100))


async def test_messages_that_the_broker_forgot_in_a_crash_are_stored_all_the_same(tmp_path: Path) -> None:
    async with (
        Mosquitto(tmp_path) as broker,
        opened(tmp_path) as hub,
        bridged(hub, broker.port, [READINGS]) as bridge,
    ):
        hub.over_cap = True
        await publish(broker.port, numbered(50))
        await until(lambda: bridge.stats.received == 50)
        broker.kill()
        await until(lambda: not bridge.links[""].up)
        await broker.start()
        await until(lambda: bridge.links[""].up)
        hub.over_cap = False
        await publish(broker.port, [("s/hall", b"50")])
        await until(lambda: bridge.stats.enqueued == 51 and bridge.stats.acknowledged > 0)
        assert [data(job)["payload"] for job in await jobs(hub, "readings")] == list(range(51))
        assert bridge.stats.acknowledged == 1  # of the others the broker knows nothing any more


@pytest.mark.parametrize("version", ["5", "3.1.1"])
@pytest.mark.parametrize("mosquitto", VERSIONS)
async def test_a_message_that_comes_again_while_it_is_held_becomes_one_job(
    tmp_path: Path, mosquitto: str, version: str
) -> None:
    async with (
        Mosquitto(tmp_path, mosquitto, lines=("max_inflight_messages 100",)) as broker,
        Proxy(broker.port) as proxy,
        opened(tmp_path) as hub,
        bridged(hub, proxy.port, [READINGS], version=version) as bridge,
    ):
        hub.over_cap = True
        await publish(broker.port, numbered(50))
        await until(lambda: bridge.stats.received == 50)
        proxy.cut()
        await until(lambda: bridge.stats.redelivered == 50)
        hub.over_cap = False
        await until(lambda: bridge.stats.acknowledged == 50)
        assert [data(job)["payload"] for job in await jobs(hub, "readings")] == list(range(50))


async def test_bytes_held_in_memory_are_bounded(tmp_path: Path) -> None:
    payload = b'"' + b"x" * 100_000 + b'"'
    async with (
        Mosquitto(tmp_path) as broker,
        opened(tmp_path) as hub,
        bridged(hub, broker.port, [READINGS], max_held_bytes=1_000_000) as bridge,
    ):
        hub.over_cap = True
        await publish(broker.port, [("s/hall", payload)] * 100, window=10)
        await until(lambda: bridge.stats.received >= 10)
        held = bridge.stats.received
        assert held <= 12  # one read of the socket beyond the bound
        hub.over_cap = False
        await until(lambda: bridge.stats.acknowledged == 100)


async def test_qos_0_beyond_its_bound_is_dropped_and_counted(tmp_path: Path) -> None:
    rule = Rule(topic="s/{room}", queue="readings", qos=0)
    async with (
        Mosquitto(tmp_path) as broker,
        opened(tmp_path) as hub,
        bridged(hub, broker.port, [rule], max_held_qos0=30) as bridge,
    ):
        hub.over_cap = True
        await publish(broker.port, numbered(100), qos=0)
        await until(lambda: bridge.stats.received == 100)
        assert bridge.stats.dropped == 70
        hub.over_cap = False
        await until(lambda: bridge.stats.enqueued == 30)
        assert bridge.stats.acknowledged == 0


class Broken(Payload):
    """A decoder with a defect."""

    def decoder(self) -> Decode:
        return lambda payload: 1 // 0


async def test_what_a_defect_kept_goes_again_through_the_rules_of_its_lane(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "hubqueue.ingest.mapper")
    main, bulk = Rule(topic="bulk/#", queue="all"), Rule(topic="bulk/#", queue="bulk", lane="bulk")
    broken = replace(bulk, payload=Broken())
    async with (
        Mosquitto(tmp_path) as broker,
        opened(tmp_path) as hub,
        bridged(hub, broker.port, [main, broken]) as bridge,
    ):
        await publish(broker.port, [("bulk/x", b"1")])
        await until(lambda: (bridge.stats.unroutable, bridge.stats.enqueued) == (1, 1))
        (dead,) = (await hub.list_jobs(UNROUTABLE, (State.FAILED,))).jobs
        again = RulesAgain([main, bulk]).reroute(dead)
        assert again is not None
        assert [each.queue for each in again.arrivals] == ["bulk"]


async def test_every_copy_that_is_dropped_counts_for_its_rules(tmp_path: Path) -> None:
    rules = [Rule(topic="s/+/warm", queue="warm", qos=0), Rule(topic="s/barn/#", queue="barn", qos=0)]
    async with (
        Mosquitto(tmp_path) as broker,
        opened(tmp_path) as hub,
        bridged(hub, broker.port, rules, max_held_qos0=1) as bridge,
    ):
        hub.over_cap = True
        await publish(broker.port, [("s/barn/warm", b"%d" % number) for number in range(3)], qos=0)
        await until(lambda: bridge.stats.received + bridge.stats.copies == 6)
        assert bridge.stats.dropped == 5


async def test_lanes_have_connections_of_their_own(tmp_path: Path) -> None:
    rules = [READINGS, Rule(topic="bulk/#", queue="bulk", lane="bulk")]
    async with Mosquitto(tmp_path) as broker, opened(tmp_path) as hub, bridged(hub, broker.port, rules) as bridge:
        assert set(bridge.links) == {"", "bulk"}
        await publish(broker.port, [("bulk/x", b"1"), ("s/hall", b"2")])
        await until(lambda: bridge.stats.acknowledged == 2)
        assert f"hubqueue-{hub.hub_id}-bulk" in broker.log()
        assert len(await jobs(hub, "bulk")) == 1
        assert len(await jobs(hub, "readings")) == 1


async def test_overlapping_rules_make_one_job_each_of_a_message(tmp_path: Path) -> None:
    rules = [READINGS, Rule(topic="s/#", queue="all"), Rule(topic="#", queue="everything", retained="skip")]
    async with Mosquitto(tmp_path) as broker, opened(tmp_path) as hub, bridged(hub, broker.port, rules) as bridge:
        await publish(broker.port, numbered(5))
        await until(lambda: bridge.stats.acknowledged == 5)
        assert [len(await jobs(hub, queue)) for queue in ("readings", "all", "everything")] == [5, 5, 5]


async def test_a_deduplication_key_makes_one_job_of_equal_messages(tmp_path: Path) -> None:
    rule = Rule(topic="s/{room}", queue="readings", options=Options(dedup=Dedup("{{ room }}/{{ payload }}")))
    async with Mosquitto(tmp_path) as broker, opened(tmp_path) as hub, bridged(hub, broker.port, [rule]) as bridge:
        await publish(broker.port, [("s/hall", b"1"), ("s/hall", b"1"), ("s/attic", b"1")])
        await until(lambda: bridge.stats.acknowledged == 3)
        assert len(await jobs(hub, "readings")) == 2


@pytest.mark.parametrize("version", ["5", "3.1.1"])
@pytest.mark.parametrize("mosquitto", VERSIONS)
async def test_subscriptions_of_rules_that_are_gone_are_given_up(tmp_path: Path, mosquitto: str, version: str) -> None:
    async with Mosquitto(tmp_path, mosquitto) as broker, opened(tmp_path) as hub:
        async with bridged(hub, broker.port, [READINGS, Rule(topic="old/#", queue="old")], version=version):
            pass
        async with bridged(hub, broker.port, [READINGS], version=version) as bridge:
            await publish(broker.port, [("old/x", b"1"), ("s/hall", b"2")])
            await until(lambda: bridge.stats.acknowledged == 1)
            assert bridge.stats.received == 1


async def test_the_hub_says_on_its_status_topic_whether_it_is_there(tmp_path: Path) -> None:
    async with Mosquitto(tmp_path) as broker, opened(tmp_path) as hub, client(broker.port, "watcher") as watcher:
        await watcher.subscribe(f"hubqueue/{hub.hub_id}/status", qos=1)
        async with bridged(hub, broker.port, [READINGS]):
            payload = (await anext(watcher.messages)).payload
            assert msgspec.json.decode(payload) == {"state": "online", "hub": hub.hub_id, "version": "1.2.3"}
        assert msgspec.json.decode((await anext(watcher.messages)).payload)["state"] == "offline"


@pytest.mark.parametrize("version", ["5", "3.1.1"])
@pytest.mark.parametrize("mosquitto", VERSIONS)
async def test_both_versions_of_mqtt_carry_messages(tmp_path: Path, mosquitto: str, version: str) -> None:
    async with (
        Mosquitto(tmp_path, mosquitto) as broker,
        opened(tmp_path) as hub,
        bridged(hub, broker.port, [READINGS], version=version) as bridge,
    ):
        await publish(broker.port, numbered(200))
        await until(lambda: bridge.stats.acknowledged == 200)
        assert [data(job)["payload"] for job in await jobs(hub, "readings")] == list(range(200))


async def test_closing_the_bridge_stores_what_was_received(tmp_path: Path) -> None:
    rule = Rule(topic="s/{room}", queue="readings", qos=0)
    async with Mosquitto(tmp_path) as broker, opened(tmp_path) as hub:
        async with bridged(hub, broker.port, [rule]) as bridge:
            await publish(broker.port, numbered(300), qos=0)
            await until(lambda: bridge.stats.received == 300)
        assert len(await jobs(hub, "readings")) == 300


@pytest.mark.parametrize("version", ["5", "3.1.1"])
@pytest.mark.parametrize("mosquitto", VERSIONS)
async def test_a_clean_stop_acknowledges_exactly_what_is_stored(tmp_path: Path, mosquitto: str, version: str) -> None:
    count, sent, in_the_middle = 1000, 0, 0
    async with Mosquitto(tmp_path, mosquitto, lines=("max_inflight_messages 100",)) as broker, opened(tmp_path) as hub:
        async with bridged(hub, broker.port, [READINGS], version=version):
            pass
        found: list[Any] = []
        while not in_the_middle and sent < 10 * count:  # a busy machine may take all of them at once
            await publish(broker.port, numbered(count))
            sent += count
            while len(found) < sent:
                async with bridged(hub, broker.port, [READINGS], version=version, receive_maximum=100) as bridge:
                    await at_once(lambda bridge=bridge: bridge.stats.enqueued > 0)  # type: ignore[misc]
                found = [data(job)["payload"] for job in await jobs(hub, "readings")]  # closed in the middle of it
                in_the_middle += len(found) < sent
                assert bridge.stats.acknowledged == bridge.stats.enqueued
                assert bridge.stats.redelivered == 0
        assert found == list(range(count)) * (sent // count)
        assert in_the_middle


async def test_open_packet_ids_cost_two_short_statements_a_batch(tmp_path: Path) -> None:
    """One in the transaction of the jobs, one before the acknowledgements: ten bytes a message in the first."""
    async with Mosquitto(tmp_path) as broker, opened(tmp_path) as hub, bridged(hub, broker.port, [READINGS]) as bridge:
        hub.over_cap = True  # so that the messages become one batch
        await publish(broker.port, numbered(BATCH + 1))  # the first alone is the batch that is refused
        await until(lambda: bridge.stats.received == BATCH + 1)
        statements: list[str] = []
        hub.store._db.set_trace_callback(statements.append)
        groups = hub.store.groups
        hub.over_cap = False
        await until(lambda: bridge.stats.acknowledged == BATCH + 1)
        hub.store._db.set_trace_callback(None)
        noted = [statement for statement in statements if "mqtt.open" in statement]
        assert len(noted) <= 4  # two batches
        assert max(map(len, noted)) <= 2 * ENTRY_BYTES * (BATCH + 1) + 400  # written as hexadecimal here
        assert hub.store.groups - groups <= 6


async def test_messages_that_make_no_jobs_are_not_noted(tmp_path: Path) -> None:
    rule = Rule(topic="s/{room}", queue="readings", where="payload > 999999")
    async with Mosquitto(tmp_path) as broker, opened(tmp_path) as hub, bridged(hub, broker.port, [rule]) as bridge:
        statements: list[str] = []
        hub.store._db.set_trace_callback(statements.append)
        await publish(broker.port, numbered(100))
        await until(lambda: bridge.stats.acknowledged == 100)
        assert not [statement for statement in statements if "mqtt.open" in statement]
