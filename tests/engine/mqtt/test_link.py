"""The link against a real Mosquitto, and a real broker that speaks 3.1.1 only."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from hubqueue.errors import LinkDown
from hubqueue.mqtt.link import GOODBYE_S
from hubqueue.mqttclient.connection import Status
from support import hasty_links
from support.hub_process import clean_environment
from support.mosquitto import Mosquitto
from support.mqtt import Collecting, client, near, publish
from support.old_broker import old_broker
from support.proxy import Proxy, Uplink
from support.waiting import until

if TYPE_CHECKING:
    pass

ALL = {"s/#": 1}
STATUS = Status("hubqueue/h1/status", b'{"state":"online"}', b'{"state":"offline"}')


@pytest.mark.parametrize("version", ["5", "3.1.1"])
async def test_messages_arrive_in_order_in_both_versions(tmp_path: Path, version: str) -> None:
    async with Mosquitto(tmp_path) as broker, Collecting(near(broker.port, version=version), ALL) as hub:
        await hub.up()
        await publish(broker.port, [("s/a", b"%d" % n) for n in range(500)])
        assert [m.payload for m in await hub.received(500)] == [b"%d" % n for n in range(500)]
        assert hub.link.state.version == version


async def test_a_broker_that_speaks_only_3_1_1_is_spoken_to_in_it() -> None:
    async with old_broker() as port, Collecting(near(port), ALL) as hub:
        await hub.up()
        assert hub.link.state.version == "3.1.1"
        async with client(port, protocol=None, clean_start=3) as sender:
            await sender.publish("s/a", b"1", qos=1)
        assert (await hub.received(1))[0].payload == b"1"


async def test_a_session_keeps_what_is_published_while_the_hub_is_away(tmp_path: Path) -> None:
    async with Mosquitto(tmp_path) as broker:
        async with Collecting(near(broker.port), ALL) as before:
            await before.up()
        await publish(broker.port, [("s/a", b"%d" % n) for n in range(50)])
        async with Collecting(near(broker.port), ALL) as after:
            assert [m.payload for m in await after.received(50)] == [b"%d" % n for n in range(50)]
            assert after.sessions == [True]


async def test_only_what_was_not_acknowledged_comes_again(tmp_path: Path) -> None:
    async with Mosquitto(tmp_path) as broker:
        async with Collecting(near(broker.port), ALL, acknowledge=False) as before:
            await before.up()
            await publish(broker.port, [("s/a", b"%d" % n) for n in range(10)])
            before.link.acknowledge([m.mid for m in (await before.received(10))[:6]])
        async with Collecting(near(broker.port), ALL) as after:
            again = await after.received(4)
            assert [m.payload for m in again] == [b"6", b"7", b"8", b"9"]
            assert all(m.redelivered for m in again)


async def test_a_cut_link_comes_back_and_gets_the_rest_again(tmp_path: Path) -> None:
    async with (
        Mosquitto(tmp_path) as broker,
        Proxy(broker.port) as proxy,
        Collecting(near(proxy.port), ALL, acknowledge=False) as hub,
    ):
        await hub.up()
        await publish(broker.port, [("s/a", b"%d" % n) for n in range(20)])
        first = list(await hub.received(20))
        proxy.cut()
        await until(lambda: len(hub.messages) >= 40 and len(hub.states) >= 3)  # messages may come before the SUBACK
        again = hub.messages[20:]
        assert [(m.mid, m.payload) for m in again] == [(m.mid, m.payload) for m in first]
        assert all(m.redelivered for m in again)
        assert [state.up for state in hub.states] == [True, False, True]


@pytest.mark.parametrize("bound", [1, 30])
async def test_without_acknowledgements_the_broker_stops_at_receive_maximum(tmp_path: Path, bound: int) -> None:
    async with (
        Mosquitto(tmp_path) as broker,
        Collecting(near(broker.port, receive_maximum=bound), ALL, acknowledge=False) as hub,
    ):
        await hub.up()
        await publish(broker.port, [("s/a", b"%d" % n) for n in range(100)])
        await publish(broker.port, [("s/last", b"")], qos=0)  # not held back by the bound, and sent after the rest
        await until(lambda: hub.messages[-1:] != [] and hub.messages[-1].topic == "s/last")
        assert len(hub.messages) == bound + 1


async def test_qos_2_messages_come_as_qos_1(tmp_path: Path) -> None:
    async with Mosquitto(tmp_path) as broker, Collecting(near(broker.port), ALL) as hub:
        await hub.up()
        await publish(broker.port, [("s/a", b"1")], qos=2)
        assert (await hub.received(1))[0].qos == 1


async def test_messages_of_a_session_with_qos_2_are_taken_too(tmp_path: Path) -> None:
    async with Mosquitto(tmp_path) as broker, Collecting(near(broker.port), {"s/#": 2}) as hub:
        await hub.up()
        await publish(broker.port, [("s/a", b"%d" % n) for n in range(300)], qos=2)
        assert [m.payload for m in await hub.received(300)] == [b"%d" % n for n in range(300)]


async def test_four_megabytes_arrive_whole(tmp_path: Path) -> None:
    payload = bytes(range(256)) * 16_384
    async with Mosquitto(tmp_path) as broker, Collecting(near(broker.port), ALL) as hub:
        await hub.up()
        await publish(broker.port, [("s/a", payload)])
        assert (await hub.received(1))[0].payload == payload


async def test_a_message_beyond_the_bound_arrives_as_its_head(tmp_path: Path) -> None:
    async with Mosquitto(tmp_path) as broker, Collecting(near(broker.port, max_packet_bytes=10_000), ALL) as hub:
        await hub.up()
        await publish(broker.port, [("s/a", b"x" * 100_000), ("s/b", b"1")])
        big, small = await hub.received(2)
        assert len(big.payload) < 10_000
        assert len(big.payload) + big.missing == 100_000
        assert small.payload == b"1"


async def test_reading_is_paused_and_the_link_stays_up(tmp_path: Path) -> None:
    async with Mosquitto(tmp_path) as broker, Collecting(near(broker.port, keepalive_s=1), ALL) as hub:
        await hub.up()
        hub.link.pause()
        await publish(broker.port, [("s/a", b"1")])
        started = asyncio.get_running_loop().time()
        await until(lambda: asyncio.get_running_loop().time() - started > 3.5)  # three keep-alives without an answer
        assert hub.messages == []
        assert hub.link.state.up
        hub.link.resume()
        await hub.received(1)
        assert len(hub.states) == 1


async def test_a_broker_that_does_not_answer_any_more_is_noticed(tmp_path: Path) -> None:
    async with Mosquitto(tmp_path) as broker, Collecting(near(broker.port, keepalive_s=1, timeout_s=1), ALL) as hub:
        await hub.up()
        broker.freeze()
        await hub.down()
        broker.thaw()
        await hub.up()


async def test_a_broker_that_accepts_and_says_nothing_is_down() -> None:
    async with Proxy(1) as silent:
        await silent.set(Uplink.SILENT)
        async with Collecting(near(silent.port, timeout_s=0.3), ALL) as hub:
            assert isinstance((await hub.down()).error, LinkDown)


async def test_nothing_is_acknowledged_while_a_new_connection_waits_for_its_answer(tmp_path: Path) -> None:
    async with (
        Mosquitto(tmp_path) as broker,
        Proxy(broker.port) as proxy,
        Collecting(near(proxy.port), ALL, acknowledge=False) as hub,
    ):
        await hub.up()
        await publish(broker.port, [("s/a", b"1")])
        (message,) = await hub.received(1)
        await proxy.set(Uplink.MUTE)
        proxy.cut()
        await hub.down()
        await proxy.wait_accepted(2)
        assert not hub.link.connected
        hub.link.acknowledge([message.mid])  # of the old connection: must go nowhere
        await proxy.set(Uplink.PASS)
        proxy.cut()
        assert (await hub.received(2))[1].redelivered


async def test_garbage_from_the_broker_ends_the_connection_only() -> None:
    async def garbage(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"\x20\x03\x00\x00\x00\x30\xff\xff\xff\xff\xff")
        await reader.read(1000)
        await reader.read(1000)
        writer.close()

    async with (
        await asyncio.start_server(garbage, "127.0.0.1", 0) as server,
        Collecting(near(server.sockets[0].getsockname()[1], version="5"), ALL) as hub,
    ):
        state = await hub.down()
        assert "four bytes" in str(state.error)


async def test_birth_and_last_will_are_seen_by_a_subscriber(tmp_path: Path) -> None:
    async with Mosquitto(tmp_path) as broker, Proxy(broker.port) as proxy, client(broker.port, "watcher") as watcher:
        await watcher.subscribe(STATUS.topic, qos=1)
        seen = watcher.messages
        hub = Collecting(near(proxy.port), ALL, status=STATUS)
        async with hub:
            assert (await anext(seen)).payload == STATUS.online
            await proxy.set(Uplink.REFUSE)
            proxy.cut()
            assert (await anext(seen)).payload == STATUS.offline
            await proxy.set(Uplink.PASS)
            assert (await anext(seen)).payload == STATUS.online
        assert (await anext(seen)).payload == STATUS.offline
        async with client(broker.port, "late") as late:
            await late.subscribe(STATUS.topic, qos=1)
            message = await anext(late.messages)
            assert (message.payload, message.retain) == (STATUS.offline, True)


async def test_a_broker_that_does_not_answer_does_not_hold_up_the_end(tmp_path: Path) -> None:
    async with Mosquitto(tmp_path) as broker:
        hub = Collecting(near(broker.port, timeout_s=60), ALL, status=STATUS)
        async with hub:
            await hub.up()
            broker.freeze()
            started = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - started < 2 * GOODBYE_S
        broker.thaw()


async def test_retained_messages_come_once_over_reconnects(tmp_path: Path) -> None:
    async with Mosquitto(tmp_path) as broker, Proxy(broker.port) as proxy, client(broker.port) as sender:
        await sender.publish("s/a", b"kept", qos=1, retain=True)
        for version in ("5", "3.1.1"):
            async with Collecting(near(proxy.port, version=version), ALL, client_id=version) as hub:
                assert (await hub.received(1))[0].retain
                proxy.cut()
                await until(lambda hub=hub: len(hub.states) == 3)  # type: ignore[misc]
                await publish(broker.port, [("s/b", b"new")])
                await until(lambda hub=hub: hub.messages[-1].topic == "s/b")  # type: ignore[misc]
                assert [m.topic for m in hub.messages if not m.redelivered] == ["s/a", "s/b"]


@pytest.mark.filterwarnings("ignore:The .acl. option:DeprecationWarning")  # the only one its Config has
async def test_a_subscription_that_the_broker_refuses_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    rights = {"amqtt.plugins.topic_checking.TopicAccessControlListPlugin": {"acl": {"anonymous": ["s/#"]}}}
    async with (
        old_broker(**rights) as port,
        Collecting(near(port, version="3.1.1"), {"secret/#": 1, "s/#": 1}) as hub,
    ):
        await hub.up()
        assert [record.args for record in caplog.records if "refuses" in record.msg] == [("secret/#",)]


async def test_a_link_that_is_closed_while_it_connects_leaves_nothing_behind() -> None:
    async with Proxy(1) as silent:
        await silent.set(Uplink.SILENT)
        async with Collecting(near(silent.port), ALL) as hub:
            await silent.wait_accepted(1)
        assert not hub.link.connected


async def test_links_closed_at_any_moment_of_their_opening_leave_no_trace(tmp_path: Path) -> None:
    async with Mosquitto(tmp_path) as broker:
        program = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # or modules of tests/support would stand before those of the library
            str(Path(hasty_links.__file__)),
            str(broker.port),
            "150",
            stderr=asyncio.subprocess.PIPE,
            env=clean_environment(),
        )
        _, err = await program.communicate()
    assert (program.returncode, err.decode()) == (0, "")
