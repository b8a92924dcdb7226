"""Invoke topics and their answers, through a real broker and a real worker's settle."""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from hubqueue.errors import Invalid
from hubqueue.hub.hub import Hub
from hubqueue.hub.verbs.ingest import UNROUTABLE
from hubqueue.model.outcome import Complete, Outcome, Reject, Settlement
from hubqueue.model.state import State
from hubqueue.mqtt.answers import MAX_BREAKS
from hubqueue.mqtt.bridge import Bridge
from hubqueue.mqtt.invoke import RESPONSES, invoked, read_invoke
from hubqueue.mqttclient.broker import Broker
from hubqueue.mqttclient.message import Extras, Message
from support.mosquitto import Mosquitto
from support.mqtt import client, publish
from support.proxy import Proxy, Uplink
from support.waiting import in_time, until

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import aiomqtt


@asynccontextmanager
async def bridged(hub: Hub, port: int) -> AsyncIterator[Bridge]:
    bridge = Bridge(hub, Broker(port=port, backoff_first_s=0.05, backoff_max_s=0.2), [], version="1")
    await bridge.start()
    try:
        await until(lambda: all(state.up for state in bridge.links.values()))
        yield bridge
    finally:
        await bridge.close()


async def ask(sender: aiomqtt.Client, queue: str, correlation: bytes, **payload: Any) -> None:
    properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    properties.ResponseTopic = "answers/test"
    properties.CorrelationData = correlation
    body = msgspec.json.encode({"method": "double", **payload})
    await sender.publish(f"hubqueue/{queue}/invoke", body, qos=1, properties=properties)


async def work_one(hub: Hub, queue: str, outcome: Outcome) -> str:
    """Do one job of the queue; its id."""
    (leased,) = await hub.lease(queue, owner="worker", wait_ms=10_000)
    await hub.settle([Settlement(leased.job.id, leased.token, outcome)])
    return leased.job.id


async def answer(receiver: aiomqtt.Client) -> tuple[Any, bytes | None]:
    async with in_time():
        message = await anext(receiver.messages)
    return msgspec.json.decode(message.payload), getattr(message.properties, "CorrelationData", None)


async def test_an_invoke_becomes_a_job_for_the_named_handler(tmp_path: Path) -> None:
    async with Mosquitto(tmp_path) as broker, await Hub.open(tmp_path / "h.db") as hub, bridged(hub, broker.port):
        body = {"method": "double", "data": {"n": 2}, "id": "once", "priority": 7, "attempts": 1, "timeout": 5000}
        await publish(broker.port, [("hubqueue/math/invoke", msgspec.json.encode(body))] * 2)
        (leased,) = await hub.lease("math", 10, owner="w", wait_ms=10_000)
        job = leased.job
        assert (job.id, job.name, job.priority, job.max_attempts) == ("once", "double", 7, 1)
        assert job.options.timeout_ms == 5000
        assert msgspec.msgpack.decode(job.data or b"") == {"n": 2}


async def test_the_result_is_published_with_its_correlation_data(tmp_path: Path) -> None:
    async with (
        Mosquitto(tmp_path) as broker,
        await Hub.open(tmp_path / "h.db") as hub,
        bridged(hub, broker.port) as bridge,
        client(broker.port) as sender,
    ):
        await sender.subscribe("answers/#", qos=1)
        await ask(sender, "math", b"\x01\xff", data=2)
        id = await work_one(hub, "math", Complete(msgspec.msgpack.encode({"n": 4, "raw": b"x"})))
        found = await answer(sender)
        assert found == (
            {"id": id, "queue": "math", "state": "completed", "result": {"n": 4, "raw": "eA=="}},
            b"\x01\xff",
        )
        await until(lambda: bridge.stats.answered == 1)
        assert (await hub.counts(RESPONSES)).active == 0


async def test_a_failure_is_answered_with_its_error(tmp_path: Path) -> None:
    async with (
        Mosquitto(tmp_path) as broker,
        await Hub.open(tmp_path / "h.db") as hub,
        bridged(hub, broker.port),
        client(broker.port) as sender,
    ):
        await sender.subscribe("answers/#", qos=1)
        await ask(sender, "math", b"c")
        await work_one(hub, "math", Reject("no such number"))
        found, _ = await answer(sender)
        assert (found["state"], found["error"]) == ("failed", "no such number")


async def test_an_answer_survives_a_restart_and_a_link_that_is_down(tmp_path: Path) -> None:
    async with Mosquitto(tmp_path) as broker, client(broker.port) as sender:
        await sender.subscribe("answers/#", qos=1)
        async with await Hub.open(tmp_path / "h.db") as hub:
            async with bridged(hub, broker.port) as bridge:
                await ask(sender, "math", b"c")
                await until(lambda: bridge.stats.enqueued == 1)
            await work_one(hub, "math", Complete(b"\x04"))  # nobody is there to answer
        async with await Hub.open(tmp_path / "h.db") as hub, bridged(hub, broker.port):
            found, correlation = await answer(sender)
            assert (found["result"], correlation) == (4, b"c")


async def test_a_payload_may_name_the_response_topic(tmp_path: Path) -> None:
    async with (
        Mosquitto(tmp_path) as broker,
        await Hub.open(tmp_path / "h.db") as hub,
        bridged(hub, broker.port),
        client(broker.port) as sender,
    ):
        await sender.subscribe("answers/#", qos=1)
        await publish(broker.port, [("hubqueue/math/invoke", b'{"method": "m", "responseTopic": "answers/x"}')])
        await work_one(hub, "math", Complete())
        assert (await answer(sender))[0]["state"] == "completed"


async def test_an_invoke_that_is_not_valid_is_kept_as_unroutable(tmp_path: Path) -> None:
    async with (
        Mosquitto(tmp_path) as broker,
        await Hub.open(tmp_path / "h.db") as hub,
        bridged(hub, broker.port) as bridge,
    ):
        await publish(broker.port, [("hubqueue/math/invoke", b"{}"), ("hubqueue/_overflow/invoke", b'{"method":"m"}')])
        await until(lambda: bridge.stats.unroutable == 2)
        dead = (await hub.list_jobs(UNROUTABLE, [State.FAILED])).jobs
        assert {job.history.reason for job in dead} == {"bad_invoke"}


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"", r"empty payload \(send"),
        (b'{"method": "m", "data": nan}', r"nan at byte 24 is not a number of JSON \(send"),
        (b'{"method": "m", "data": 1e400}', "beyond the range of a double"),
        (b'{"method": "m", "delay": "1"}', "delay must be a number"),
        (b'{"method": "m", "maxAttempts": 1}', "maxAttempts"),
        (b'{"method": null}', "method must be a string"),
        (b'{"data": 1}', "method is required"),
        (b"\xff", "not a valid invoke"),
        (b"[]", "not a valid invoke"),
        (b'{"method": 1}', "not a valid invoke"),
        (b'{"method": "m", "prioirty": 1}', "prioirty"),
        (b'{"method": ""}', "Job name"),
        (b'{"method": "m", "priority": 1.5}', "not a valid invoke"),
        (b'{"method": "m", "delay": -1}', "delay"),
        (b'{"method": "m", "data": 99999999999999999999999}', "64 bits"),
        (b'{"method": "m", "id": "fwd:edge7:readings:1"}', "forwarders"),
        (b'{"method": "m", "responseTopic": "a/#"}', "wildcard"),
        (b'{"method": "m", "responseTopic": "ans/\\n"}', "U.000A"),
        (b'{"method": "m", "responseTopic": "ans/\\ufdd0"}', "U.FDD0"),
        (b'{"method": "m", "responseTopic": ""}', "must not be empty"),
        (b'{"method": "m", "responseTopic": "' + b"/" * 201 + b'"}', "too many levels"),
        (b'{"method": "m", "responseTopic": "$SYS/x"}', "cannot be a response topic"),
        (b'{"method": "m", "responseTopic": "hubqueue/q/invoke"}', "cannot be a response topic"),
    ],
)
def test_a_wrong_invoke_is_refused_with_its_reason(payload: bytes, reason: str) -> None:
    with pytest.raises(Invalid, match=reason):
        read_invoke(Message("hubqueue/q/invoke", payload), "q")


async def test_a_response_topic_that_brokers_hang_up_on_is_refused_when_the_message_comes(tmp_path: Path) -> None:
    async with (
        Mosquitto(tmp_path) as broker,
        await Hub.open(tmp_path / "h.db") as hub,
        bridged(hub, broker.port) as bridge,
    ):
        since_ms = bridge.links[""].since_ms
        odd = b'{"method": "m", "responseTopic": "ans/\\u0085"}'
        await publish(broker.port, [("hubqueue/math/invoke", odd), ("hubqueue/math/invoke", b'{"method": "m"}')])
        await work_one(hub, "math", Complete())
        (dead,) = (await hub.list_jobs(UNROUTABLE, [State.FAILED])).jobs
        assert "U+0085" in str(dead.history.error)
        assert (await hub.counts(RESPONSES)).waiting == 0
        assert (bridge.links[""].up, bridge.links[""].since_ms) == (True, since_ms)


@pytest.mark.parametrize(
    ("version", "limit"),  # what it says when one connects, and what it says only of a message that comes
    [("2.0", "max_packet_size 1000"), ("2.0", "message_size_limit 800"), ("2.1", "message_size_limit 800")],
)
async def test_a_result_that_the_broker_would_not_take_is_answered_without_it(
    tmp_path: Path, version: str, limit: str
) -> None:
    async with (
        Mosquitto(tmp_path, version, lines=(limit,)) as broker,
        await Hub.open(tmp_path / "h.db") as hub,
        bridged(hub, broker.port) as bridge,
        client(broker.port) as sender,
    ):
        since_ms = bridge.links[""].since_ms
        await sender.subscribe("answers/#", qos=1)
        await ask(sender, "math", b"large")
        id = await work_one(hub, "math", Complete(msgspec.msgpack.encode("x" * 1000)))
        found, correlation = await answer(sender)
        assert (found["id"], found["state"], correlation) == (id, "completed", b"large")
        assert "larger than the broker takes" in found["error"]
        await hub.publish("news", msgspec.msgpack.encode("x" * 1000))  # a channel's message goes the same way
        await ask(sender, "math", b"small")
        await work_one(hub, "math", Complete(msgspec.msgpack.encode("x")))
        assert (await answer(sender))[0]["result"] == "x"
        await until(lambda: bridge.stats.answered == 2)
        assert (bridge.links[""].up, bridge.links[""].since_ms) == (True, since_ms)


async def test_an_answer_that_the_broker_refuses_is_given_up_and_not_counted_as_answered(tmp_path: Path) -> None:
    rights = tmp_path / "acl"
    rights.write_text("topic readwrite hubqueue/#\ntopic readwrite answers/#\n")
    async with (
        Mosquitto(tmp_path, lines=(f"acl_file {rights}",)) as broker,
        await Hub.open(tmp_path / "h.db") as hub,
        bridged(hub, broker.port) as bridge,
        client(broker.port) as sender,
    ):
        since_ms = bridge.links[""].since_ms
        await sender.subscribe("answers/#", qos=1)
        refused = b'{"method": "m", "responseTopic": "no/right"}'
        await publish(broker.port, [("hubqueue/math/invoke", refused)])
        await work_one(hub, "math", Complete())
        await ask(sender, "math", b"right")
        await work_one(hub, "math", Complete(b"\x04"))
        assert (await answer(sender))[0]["result"] == 4

        async def given_up() -> bool:
            return (await hub.counts(RESPONSES)).failed == 1

        await until(given_up)
        (dead,) = (await hub.list_jobs(RESPONSES, [State.FAILED])).jobs
        assert "refuses no/right: Not authorized" in str(dead.history.error)
        await until(lambda: bridge.stats.answered == 1)
        assert (bridge.links[""].up, bridge.links[""].since_ms) == (True, since_ms)


async def test_an_answer_that_breaks_the_link_is_given_up_and_others_pass(tmp_path: Path) -> None:
    async with (
        Mosquitto(tmp_path) as broker,
        Proxy(broker.port) as proxy,
        await Hub.open(tmp_path / "h.db") as hub,
        bridged(hub, proxy.port) as bridge,
        client(broker.port) as sender,
    ):
        proxy.hangs_up_on = b"makes-it-hang-up"
        await sender.subscribe("answers/#", qos=1)
        await ask(sender, "math", b"odd")
        await work_one(hub, "math", Complete(msgspec.msgpack.encode("makes-it-hang-up")))
        await until(lambda: proxy.hung_up == 1)
        await ask(sender, "math", b"good")
        await work_one(hub, "math", Complete(msgspec.msgpack.encode(4)))
        found, correlation = await answer(sender)
        assert (found["result"], correlation) == (4, b"good")

        async def given_up() -> bool:
            return (await hub.counts(RESPONSES)).failed == 1

        await until(given_up)
        assert proxy.hung_up == MAX_BREAKS
        (dead,) = (await hub.list_jobs(RESPONSES, [State.FAILED])).jobs
        assert "broke 5 times over this answer" in str(dead.history.error)
        assert "tried again by itself" not in str(dead.history.error)
        await until(lambda: bridge.links[""].up)
        await ask(sender, "math", b"last")
        await work_one(hub, "math", Complete())
        while (await answer(sender))[1] != b"last":  # one whose acknowledgement was lost comes again
            pass


async def test_a_link_that_is_down_breaks_over_no_answer(tmp_path: Path) -> None:
    async with (
        Mosquitto(tmp_path) as broker,
        Proxy(broker.port) as proxy,
        await Hub.open(tmp_path / "h.db") as hub,
        bridged(hub, proxy.port) as bridge,
        client(broker.port) as sender,
    ):
        await sender.subscribe("answers/#", qos=1)
        await ask(sender, "math", b"c")
        await until(lambda: bridge.stats.enqueued == 1)
        for _ in range(2 * MAX_BREAKS):
            accepted = proxy.accepted
            proxy.cut()
            await proxy.wait_accepted(accepted + 1)
        await proxy.set(Uplink.REFUSE)
        proxy.cut()
        await until(lambda: not bridge.links[""].up)
        await work_one(hub, "math", Complete(b"\x04"))
        await proxy.set(Uplink.PASS)
        assert (await answer(sender))[0]["result"] == 4


def test_only_invoke_topics_are_invokes() -> None:
    assert invoked("hubqueue/q/invoke") == "q"
    for topic in ("hubqueue/q/messages", "hubqueue/a/b/invoke", "other/q/invoke", "hubqueue/invoke"):
        assert invoked(topic) is None


def test_whole_numbers_may_be_written_with_a_point() -> None:
    payload = b'\xef\xbb\xbf{"method": "m", "delay": 1500.0, "attempts": 5.0, "timeout": 60000.0, "data": 1.0}'
    job, _ = read_invoke(Message("hubqueue/q/invoke", payload), "q")
    assert (job.delay_ms, job.max_attempts, job.options and job.options.timeout_ms) == (1500, 5, 60_000)
    assert msgspec.msgpack.decode(job.data or b"") == 1.0


def test_absent_data_and_null_are_told_apart() -> None:
    assert read_invoke(Message("t", b'{"method":"m"}', extras=Extras()), "q")[0].data is None
    assert read_invoke(Message("t", b'{"method":"m","data":null}'), "q")[0].data == b"\xc0"
