"""The MQTT sink against a real Mosquitto: what is published where, and what the broker's own answers mean."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hubqueue.errors import LinkDown
from hubqueue.forward.deliver import advance
from hubqueue.forward.verdict import Down, Rejected
from support import certificates
from support.mosquitto import Mosquitto
from support.mqtt import client
from support.old_broker import old_broker
from support.waiting import in_time, soon
from support.writing import batch, down, sink_of, written

PATIENCE_S = 60


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Mosquitto]:
    async with Mosquitto(tmp_path) as broker:
        yield broker


@asynccontextmanager
async def heard(broker: Mosquitto, topics: str = "#", **more: Any) -> AsyncIterator[aiomqtt.Client]:
    async with client(broker.port, "listener", **more) as listener:
        await listener.subscribe(topics, qos=1)
        yield listener


async def take(listener: aiomqtt.Client, count: int) -> list[aiomqtt.Message]:
    found = []
    async with in_time():
        async for message in listener.messages:
            found.append(message)
            if len(found) == count:
                break
    return found


def to(broker: Mosquitto, scheme: str = "mqtt") -> str:
    return f"{scheme}://127.0.0.1:{broker.port}"


async def test_each_job_is_a_message_with_its_id(broker: Mosquitto) -> None:
    async with (
        heard(broker) as listener,
        sink_of(to(broker), mqtt={"topic": "site/{{ data.room }}/{{ name }}"}) as sink,
    ):
        assert sink.target == f"{to(broker)}/site/{{{{ data.room }}}}/{{{{ name }}}}"
        assert await written(sink, batch({"room": "attic", "v": 1.5}, {"room": "hall"})) == [None, None]
        first, second = await take(listener, 2)
    assert [first.topic.value, second.topic.value] == ["site/attic/reading", "site/hall/reading"]
    assert json.loads(first.payload) == {"room": "attic", "v": 1.5}
    assert (first.qos, first.retain) == (1, False)
    properties: Any = first.properties
    assert properties.UserProperty == [("hubqueue-id", "fwd:edge:readings:1")]
    assert properties.ContentType == "application/json"


async def test_bytes_stay_what_they_are(broker: Mosquitto) -> None:
    async with heard(broker) as listener, sink_of(to(broker), mqtt={"topic": "{{ queue }}"}) as sink:
        await written(sink, batch(b"\x00\xff", "text", None))
        messages = await take(listener, 3)
    assert [message.payload for message in messages] == [b"\x00\xff", b'"text"', b"null"]


async def test_an_envelope_says_what_the_data_does_not(broker: Mosquitto) -> None:
    keys = {"topic": "a", "payload": "envelope", "protocol": "3.1.1"}
    async with heard(broker) as listener, sink_of(to(broker), mqtt=keys) as sink:
        await written(sink, batch({"v": 1}))
        (message,) = await take(listener, 1)
    assert json.loads(message.payload) == {
        "id": "fwd:edge:readings:1",
        "name": "reading",
        "queue": "readings",
        "at": 0,
        "data": {"v": 1},
    }


async def test_a_broker_that_speaks_only_3_1_1_is_spoken_to_in_it() -> None:
    async with (
        old_broker() as port,
        client(port, "listener", protocol=None, clean_start=3) as listener,
        sink_of(f"mqtt://127.0.0.1:{port}", mqtt={"topic": "a"}) as sink,
    ):
        await listener.subscribe("#", qos=1)
        assert await written(sink, batch(*range(50))) == [None] * 50
        messages = await take(listener, 50)
    assert [json.loads(message.payload) for message in messages] == list(range(50))


async def test_retained_messages_are_there_for_those_who_come_later(broker: Mosquitto) -> None:
    async with sink_of(to(broker), mqtt={"topic": "last/{{ data.room }}", "retain": True}) as sink:
        await written(sink, batch({"room": "attic", "n": 1}, {"room": "attic", "n": 2}))
    async with heard(broker) as listener:
        (message,) = await take(listener, 1)
    assert message.retain
    assert json.loads(message.payload)["n"] == 2


async def test_many_messages_keep_their_order_and_the_brokers_bound(tmp_path: Path) -> None:
    async with (
        Mosquitto(tmp_path, lines=("max_inflight_messages 7",)) as broker,
        heard(broker) as listener,
        sink_of(to(broker), mqtt={"topic": "a"}) as sink,
    ):
        data = list(range(500))
        several = [batch(*data[start : start + 100]) for start in range(0, 500, 100)]
        assert [await written(sink, each) for each in several] == [[None] * 100] * 5
        messages = await take(listener, 500)
    assert [json.loads(message.payload) for message in messages] == data


async def test_batches_may_be_written_side_by_side(broker: Mosquitto) -> None:
    async with heard(broker) as listener, sink_of(to(broker), mqtt={"topic": "a"}) as sink:
        results = await asyncio.gather(*(written(sink, batch(*range(150))) for _ in range(4)))
        assert results == [[None] * 150] * 4
        assert len(await take(listener, 600)) == 600


@pytest.mark.parametrize("room", ["a/+", "#", "", "x\0y", pytest.param("ä" * 40_000, id="long")])
async def test_a_topic_that_is_none_refuses_that_job_alone(broker: Mosquitto, room: str) -> None:
    async with sink_of(to(broker), mqtt={"topic": "{{ data.room }}"}) as sink:
        first, odd, last = await written(sink, batch({"room": "a"}, {"room": room}, {"room": "b"}))
    assert (first, last) == (None, None)
    assert odd is not None
    assert odd.code == "invalid"


ODD: list[str] = [
    *(
        "a\n",
        "\x00",
        "\x1f",
        "\x7f",
        "\x9f",
        "\ufdd0",
        "\ufffe",
        "\U0010ffff",
        "+",
        "#",
        "",
        "a" * 65_536,
        "ä" * 40_000,
        "/" * 201,
    ),
    *("$SYS/broker/x", "$share/a/b", "$CONTROL/x"),
]
FINE = [
    " ",
    "/",
    "//",
    "a//b",
    "\xa0",
    "\ufeff",
    "Öl/Käche",
    "🔥",
    "a/$SYS",
    "..",
    "a" * 65_535,
    "/" * 200,
    "%2f",
    '"',
    "{{ x }}",
]


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
async def test_no_topic_ends_the_connection(broker: Mosquitto, protocol: str) -> None:
    """What the broker would hang up on is refused before it is sent; all else is taken."""
    topics = [{"t": topic} for pair in zip(ODD, FINE * 2, strict=False) for topic in pair]
    async with sink_of(to(broker), mqtt={"topic": "{{ data.t }}", "protocol": protocol}) as sink:
        results = await written(sink, batch(*topics))
    assert [each["t"] for each, result in zip(topics, results, strict=True) if result is not None] == ODD
    assert all(result.code == "invalid" and len(result.reason) < 400 for result in results if result is not None)


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(max_size=12), min_size=50, max_size=100))
async def test_any_text_is_a_topic_or_refused_alone(broker: Mosquitto, texts: list[str]) -> None:
    async with sink_of(to(broker), mqtt={"topic": "{{ data.t }}"}) as sink:
        results = await written(sink, batch(*({"t": text} for text in texts)))
    assert len(results) == len(texts)


async def test_a_topic_of_the_broker_is_the_authors_choice(broker: Mosquitto) -> None:
    async with sink_of(to(broker), mqtt={"topic": "$own/{{ data.t }}"}) as sink:
        assert await written(sink, batch({"t": "x"})) == [None]


async def test_a_right_that_is_missing_for_one_topic_is_that_jobs_when_others_pass(tmp_path: Path) -> None:
    rights = tmp_path / "acl"
    rights.write_text("topic write allowed/#\n")
    async with (
        Mosquitto(tmp_path, lines=(f"acl_file {rights}",)) as broker,
        sink_of(to(broker), mqtt={"topic": "{{ data }}"}) as sink,
    ):
        jobs = batch("allowed/a", "forbidden/a", "allowed/b")
        first, odd, last = (await advance(sink, jobs)).results
    assert (first, last) == (None, None)
    assert isinstance(odd, Down)
    assert (odd.reason.value, odd.answered) == ("auth", True)


async def test_a_job_without_what_the_topic_names_is_refused_alone(broker: Mosquitto) -> None:
    async with sink_of(to(broker), mqtt={"topic": "site/{{ data.room }}"}) as sink:
        first, odd = await written(sink, batch({"room": "a"}, {"v": 1}))
    assert first is None
    assert odd is not None
    assert "room" in odd.reason


@pytest.mark.parametrize("version", ["2.0", "2.1"])
async def test_a_message_that_only_its_answer_calls_too_large_is_refused_alone(tmp_path: Path, version: str) -> None:
    async with (
        Mosquitto(tmp_path, version, lines=("message_size_limit 800",)) as broker,
        sink_of(to(broker), mqtt={"topic": "a"}) as sink,
    ):
        first, odd, last = (await advance(sink, batch("a", "x" * 1000, "b"))).results
    assert (first, last) == (None, None)
    assert isinstance(odd, Rejected)
    assert (odd.code, "Packet too large" in odd.reason) == ("payload_too_large", True)


@pytest.mark.parametrize(("protocol", "bound"), [("5", None), ("3.1.1", "1KB")])
async def test_what_the_broker_would_not_take_is_refused_alone(
    tmp_path: Path, protocol: str, bound: str | None
) -> None:
    keys = {"topic": "a", "protocol": protocol, **({} if bound is None else {"max_packet": bound})}
    async with Mosquitto(tmp_path, lines=("max_packet_size 1000",)) as broker, sink_of(to(broker), mqtt=keys) as sink:
        first, odd, last = await written(sink, batch("small", "x" * 1000, "small"))
        assert (first, last) == (None, None)
        assert odd is not None
        assert odd.code == "payload_too_large"


async def test_the_exact_bound_of_the_broker_is_kept(tmp_path: Path) -> None:
    """Around the bound each job is either taken or refused, and never is the connection lost for it."""
    async with (
        Mosquitto(tmp_path, lines=("max_packet_size 500",)) as broker,
        heard(broker) as listener,
        sink_of(to(broker), mqtt={"topic": "some/topic"}) as sink,
    ):
        results = await written(sink, batch(*("x" * size for size in range(350, 520))))
        taken = [result is None for result in results]
        assert taken == sorted(taken, reverse=True)
        assert len(await take(listener, sum(taken))) == sum(taken)
        assert 0 < sum(taken) < len(taken)


async def test_a_right_that_is_missing_refuses_no_job(tmp_path: Path) -> None:
    rights = tmp_path / "acl"
    rights.write_text("topic write allowed/#\n")
    async with (
        Mosquitto(tmp_path, lines=(f"acl_file {rights}",)) as broker,
        sink_of(to(broker), mqtt={"topic": "{{ data }}"}) as sink,
    ):
        assert await written(sink, batch("allowed/a")) == [None]
        found = await down(sink, batch("allowed/a", "forbidden/a"))
    assert (found.reason.value, found.alert) == ("auth", True)
    assert "forbidden/a" in found.error


async def test_tls_and_login_work(tmp_path: Path) -> None:
    files = certificates.make(tmp_path / "tls")
    async with Mosquitto(tmp_path, login=("hub", "s3cret"), tls=files) as broker:
        login = {"username": "hub", "password": "s3cret"}
        url, keys = to(broker, "mqtts"), {"topic": "a", **login}
        async with sink_of(url, ca_file=str(files.ca), mqtt=keys) as sink:
            assert await written(sink, batch(1)) == [None]
        address = url.replace("://", "://hub:s3cret@")
        async with sink_of(address, ca_file=str(files.ca), mqtt={"topic": "a"}) as sink:
            assert await written(sink, batch(1)) == [None]
            assert "s3cret" not in sink.target


async def test_a_named_client_has_one_connection(broker: Mosquitto) -> None:
    keys = {"topic": "a", "client_id": "edge-7"}
    async with sink_of(to(broker), mqtt=keys) as older:
        ended = asyncio.create_task(older.lost())
        async with sink_of(to(broker), mqtt=keys) as newer:
            with pytest.raises(LinkDown):
                await soon(ended)
            assert await written(newer, batch(1)) == [None]
            found = await down(older, batch(1))
            assert found.reason.value == "unreachable"


async def test_a_connection_that_ends_in_mid_batch_ends_the_wait(broker: Mosquitto) -> None:
    async with sink_of(to(broker), mqtt={"topic": "a"}) as sink:
        broker.freeze()
        writing = asyncio.create_task(down(sink, batch(*range(300))))
        await asyncio.sleep(0)  # the first messages are out, and nobody has read them
        broker.kill()
        found = await soon(writing)
    assert found.reason.value == "unreachable"
