"""One message, one job for each rule: overlapping, shared and retained subscriptions, both Mosquittos, both protocols.

Every message carries a number, so that what is counted is which messages became jobs, not how many.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from hubqueue.hub.hub import Hub
from hubqueue.hub.verbs.ingest import UNROUTABLE
from hubqueue.model.state import State
from hubqueue.mqtt import kept, lanes
from hubqueue.mqtt.bridge import Bridge
from hubqueue.mqtt.rules import Rule
from support.bridged import bridged, data, jobs, opened
from support.mosquitto import VERSIONS, Mosquitto
from support.mqtt import Collecting, client, near, publish
from support.waiting import until

BARN = "farm/barn/temperature"
OVERLAPPING = [Rule(topic="farm/+/temperature", queue="temps"), Rule(topic="farm/barn/#", queue="barn")]
COUNT = 50

pytestmark = [
    pytest.mark.parametrize("mosquitto", VERSIONS),
    pytest.mark.parametrize("version", ["5", "3.1.1"]),
]


def numbered(topic: str, count: int = COUNT, start: int = 0) -> list[tuple[str, bytes]]:
    return [(topic, b"%d" % number) for number in range(start, start + count)]


async def numbers(hub: Hub, queue: str) -> Counter[int]:
    """Without what else a rule may take, as the hub's own status."""
    found = [data(job)["payload"] for job in await jobs(hub, queue)]
    return Counter(number for number in found if isinstance(number, int))


def once(count: int = COUNT) -> Counter[int]:
    return Counter(range(count))


async def settled(bridge: Bridge, messages: int, copies: int | None = None) -> None:
    """All of them have come, in as many copies as the broker sends, and all are acknowledged."""
    await until(lambda: bridge.stats.received + bridge.stats.redelivered >= messages and not bridge.unacknowledged)
    if copies is not None:
        await until(lambda: bridge.stats.copies >= copies and not bridge.unacknowledged)


def copies_of(rules: Sequence[Rule]) -> int:
    return (len(rules) - 1) * COUNT


async def test_overlapping_rules_make_one_job_each(tmp_path: Path, mosquitto: str, version: str) -> None:
    rules = [*OVERLAPPING, Rule(topic="+/barn/+", queue="third")]
    async with (
        Mosquitto(tmp_path, mosquitto) as broker,
        opened(tmp_path) as hub,
        bridged(hub, broker.port, rules, version=version) as bridge,
    ):
        await publish(broker.port, numbered(BARN))
        await settled(bridge, COUNT, copies_of(rules))
        assert [await numbers(hub, queue) for queue in ("temps", "barn", "third")] == [once()] * 3
        assert (bridge.stats.received, bridge.stats.acknowledged) == (COUNT, COUNT)
        assert bridge.stats.copies == copies_of(rules)


async def test_equal_messages_are_several_events(tmp_path: Path, mosquitto: str, version: str) -> None:
    async with (
        Mosquitto(tmp_path, mosquitto) as broker,
        opened(tmp_path) as hub,
        bridged(hub, broker.port, OVERLAPPING, version=version) as bridge,
    ):
        await publish(broker.port, [(BARN, b"1")] * COUNT)
        await settled(bridge, COUNT, COUNT)
        assert [await numbers(hub, queue) for queue in ("temps", "barn")] == [Counter({1: COUNT})] * 2


@pytest.mark.parametrize("qos", [0, 2])
async def test_overlapping_rules_of_any_qos_make_one_job_each(
    tmp_path: Path, mosquitto: str, version: str, qos: int
) -> None:
    rules = [Rule(topic=rule.topic, queue=rule.queue, qos=qos) for rule in OVERLAPPING]
    async with (
        Mosquitto(tmp_path, mosquitto) as broker,
        opened(tmp_path) as hub,
        bridged(hub, broker.port, rules, version=version) as bridge,
    ):
        await publish(broker.port, numbered(BARN), qos=qos)
        await settled(bridge, COUNT, COUNT)
        await until(lambda: bridge.stats.enqueued >= 2 * COUNT)
        assert [await numbers(hub, queue) for queue in ("temps", "barn")] == [once()] * 2


async def test_retained_messages_reach_overlapping_rules_once(tmp_path: Path, mosquitto: str, version: str) -> None:
    rules = [*OVERLAPPING, Rule(topic="farm/+/+", queue="skipped", retained="skip")]
    async with Mosquitto(tmp_path, mosquitto) as broker, opened(tmp_path) as hub:
        async with client(broker.port, "device") as device:
            for number in range(5):
                await device.publish(f"farm/barn/{number}/temperature", b"%d" % number, qos=1, retain=True)
            await device.publish(BARN, b"77", qos=1, retain=True)
        async with bridged(hub, broker.port, rules, version=version) as bridge:
            await publish(broker.port, [("farm/barn/last", b"-1")])
            await until(lambda: bridge.stats.received >= 7 and not bridge.unacknowledged)
            await until(lambda: bridge.stats.copies >= 2 and not bridge.unacknowledged)
            assert await numbers(hub, "barn") == Counter([0, 1, 2, 3, 4, 77, -1])
            assert await numbers(hub, "temps") == Counter([77])
            assert await numbers(hub, "skipped") == Counter([-1])


async def test_a_shared_subscription_beside_others_makes_one_job_in_each(
    tmp_path: Path, mosquitto: str, version: str
) -> None:
    rules = [Rule(topic="$share/g/sw/+/t", queue="shared"), Rule(topic="sw/b/#", queue="plain")]
    async with (
        Mosquitto(tmp_path, mosquitto) as broker,
        opened(tmp_path) as hub,
        bridged(hub, broker.port, rules, version=version) as bridge,
    ):
        await publish(broker.port, numbered("sw/b/t"))
        await settled(bridge, COUNT, COUNT)
        assert [await numbers(hub, queue) for queue in ("shared", "plain")] == [once()] * 2
        assert bridge.stats.received == COUNT


async def test_a_share_that_another_member_has_is_not_taken_from_other_copies(
    tmp_path: Path, mosquitto: str, version: str
) -> None:
    rules = [Rule(topic="$share/g/sw/+/t", queue="shared"), Rule(topic="sw/b/#", queue="plain")]
    async with (
        Mosquitto(tmp_path, mosquitto) as broker,
        opened(tmp_path) as hub,
        bridged(hub, broker.port, rules, version=version) as bridge,
        client(broker.port, "other-member") as other,
    ):
        await other.subscribe("$share/g/sw/+/t", qos=1)
        await publish(broker.port, numbered("sw/b/t"))
        theirs = [int((await anext(other.messages)).payload) for _ in range(COUNT // 2)]
        await settled(bridge, COUNT, COUNT // 2)
        assert await numbers(hub, "plain") == once()
        assert await numbers(hub, "shared") == once() - Counter(theirs)
        assert bridge.stats.received == COUNT


async def test_an_invoke_that_a_rule_takes_as_well_runs_once(tmp_path: Path, mosquitto: str, version: str) -> None:
    rules = [Rule(topic="hubqueue/jobs/#", queue="seen"), Rule(topic="hubqueue/jobs/+/x", queue="deep")]
    async with (
        Mosquitto(tmp_path, mosquitto) as broker,
        opened(tmp_path) as hub,
        bridged(hub, broker.port, rules, version=version) as bridge,
    ):
        await publish(broker.port, [("hubqueue/jobs/invoke", b'{"method":"m"}'), ("hubqueue/jobs/other", b"1")])
        await until(lambda: bridge.stats.received == 2 and not bridge.unacknowledged)
        await until(lambda: bridge.stats.copies == 1 and not bridge.unacknowledged)
        assert len(await jobs(hub, "jobs")) == 1
        assert await numbers(hub, "seen") == Counter([1])


async def test_a_channel_message_that_a_rule_takes_as_well_is_heard_once_and_is_one_job(
    tmp_path: Path, mosquitto: str, version: str
) -> None:
    rules = [Rule(topic="#", queue="everything"), Rule(topic="hubqueue/{channel}/messages", queue="said")]
    async with Mosquitto(tmp_path, mosquitto) as broker, opened(tmp_path) as hub:
        heard: list[bytes] = []
        await hub.hear("news", lambda message: heard.append(message.data))
        async with bridged(hub, broker.port, rules, version=version) as bridge:
            await publish(broker.port, numbered("hubqueue/news/messages", 5), qos=0)
            await publish(broker.port, numbered("hubqueue/news/messages", 5, 5))
            last = msgspec.msgpack.encode(9)
            await until(lambda: last in heard and not bridge.unacknowledged and bridge.stats.enqueued >= 2 * len(heard))
            said = await numbers(hub, "said")
            assert set(said) >= set(range(5, 10))  # a broker that is busy may drop some of the first five: QoS 0
            assert set(said.values()) == {1}
            assert await numbers(hub, "everything") == said
            assert Counter(heard) == Counter(map(msgspec.msgpack.encode, said))


async def test_what_waited_at_the_broker_reaches_overlapping_rules_once(
    tmp_path: Path, mosquitto: str, version: str
) -> None:
    async with Mosquitto(tmp_path, mosquitto) as broker:
        async with opened(tmp_path) as hub, bridged(hub, broker.port, OVERLAPPING, version=version):
            pass
        await publish(broker.port, numbered(BARN))
        more = [*OVERLAPPING, Rule(topic="farm/barn/temperature", queue="new"), Rule(topic="other/+", queue="other")]
        async with opened(tmp_path) as hub, bridged(hub, broker.port, more, version=version) as bridge:
            await settled(bridge, COUNT, COUNT)
            assert [await numbers(hub, queue) for queue in ("temps", "barn")] == [once()] * 2
            assert await numbers(hub, "new") == once()  # it is covered by a subscription that was there


@pytest.mark.parametrize(
    "changed", [[OVERLAPPING[0]], [Rule(topic="farm/#", queue="temps")], list(reversed(OVERLAPPING))]
)
async def test_nothing_is_lost_when_rules_change_while_messages_wait(
    tmp_path: Path, mosquitto: str, version: str, changed: list[Rule]
) -> None:
    async with Mosquitto(tmp_path, mosquitto) as broker:
        async with opened(tmp_path) as hub, bridged(hub, broker.port, OVERLAPPING, version=version):
            pass
        await publish(broker.port, numbered(BARN))
        async with opened(tmp_path) as hub, bridged(hub, broker.port, changed, version=version) as bridge:
            await publish(broker.port, numbered(BARN, start=COUNT))

            async def there() -> bool:
                return set(await numbers(hub, "temps")) >= set(range(2 * COUNT)) and not bridge.unacknowledged

            await until(there)
            found = await numbers(hub, "temps")
            assert set(found) == set(range(2 * COUNT))
            assert not await jobs(hub, UNROUTABLE, State.FAILED)


async def test_sessions_that_are_not_needed_any_more_are_emptied_and_ended(
    tmp_path: Path, mosquitto: str, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "QUIET_S", 0.3)
    rules = [*OVERLAPPING, Rule(topic="bulk/#", queue="bulk", lane="bulk")]
    alone = [Rule(topic="farm/+/temperature", queue="temps"), Rule(topic="bulk/#", queue="bulk")]
    async with Mosquitto(tmp_path, mosquitto) as broker:
        async with opened(tmp_path) as hub, bridged(hub, broker.port, rules, version=version):
            before = set(await kept.every_client(hub))
            assert len(before) == (2 if version == "5" else 4)
        await publish(broker.port, [*numbered("bulk/x", 300), *numbered(BARN)])
        async with opened(tmp_path) as hub, bridged(hub, broker.port, alone, version=version) as bridge:
            await publish(broker.port, [*numbered("bulk/x", 10, 300), *numbered(BARN, 10, COUNT)])

            async def ended() -> bool:
                return set(await kept.every_client(hub)) == {f"hubqueue-{hub.hub_id}"}

            await until(ended)
            assert set(await numbers(hub, "bulk")) == set(range(310))
            assert set(await numbers(hub, "temps")) == set(range(COUNT + 10))
            assert bridge.links[""].up
        for client_id in before - {f"hubqueue-{hub.hub_id}"}:  # whoever connects under such a name finds no session
            async with Collecting(near(broker.port, version=version), {}, client_id=client_id) as again:
                await again.up()
                assert again.sessions == [False]
