"""The Kafka sink: what a record looks like, and what becomes of a batch in trouble; with Tansu and librdkafka."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hubqueue.forward.deliver import advance, deliver
from hubqueue.forward.outbound import OutboundJob
from hubqueue.forward.sink import Batch, Sink
from hubqueue.forward.sinks.maker import make_sink
from hubqueue.forward.verdict import Down, Reason, Rejected, verdict
from hubqueue.model.payload import encode
from support import certificates, mock_kafka
from support.mock_kafka import MockKafka
from support.onward import way_of
from support.tansu import Tansu
from support.tls_door import encrypted
from support.waiting import soon, until

AT_MS = 1_700_000_000_000


@pytest.fixture
def mock() -> Iterator[MockKafka]:
    with MockKafka() as cluster:
        yield cluster


@pytest.fixture
async def sinks() -> AsyncIterator[list[Sink]]:
    """What is to be closed at the end."""
    sinks: list[Sink] = []
    yield sinks
    for sink in sinks:
        await sink.close()


def sink_of(url: str, **keys: Any) -> Sink:
    section = {key: keys.pop(key) for key in tuple(keys) if key not in ("to", "ca_file", "write_timeout")}
    return make_sink(way_of({"to": f"kafka://{url}/readings", "kafka": section, **keys}).destination)


def parcel(n: int, data: Any = None) -> OutboundJob:
    return OutboundJob(
        f"fwd:edge:readings:{n}", "reading", encode({"n": n, "device": f"d{n % 3}"} if data is None else data), AT_MS
    )


def batch(*parcels: OutboundJob) -> Batch:
    return Batch("readings", parcels)


def down(found: object) -> Down:
    assert isinstance(found, Down)
    return found


async def connect_trouble(sink: Sink) -> Down:
    with pytest.raises(Exception) as failure:
        await sink.connect()
    return down(verdict(failure.value))


async def delivered(sink: Sink, jobs: Batch) -> None:
    """Connect and write until it is there, as the forwarder does: a broker that has just begun says no sometimes."""

    async def is_there() -> bool:
        try:
            await sink.connect()
        except Exception as error:
            down(verdict(error))
            return False
        return await deliver(sink, jobs) == [None] * len(jobs.parcels)

    await until(is_there)


def numbers(records: list[Any]) -> list[int]:
    return sorted(msgspec.json.decode(record.value)["n"] for record in records)


async def test_a_record_has_key_headers_and_the_time_of_the_job(mock: MockKafka, sinks: list[Sink]) -> None:
    sinks.append(sink := sink_of(mock.url, key="{{ data.device }}"))
    await sink.connect()
    assert await sink.write(batch(*(parcel(n) for n in range(30)))) == [None] * 30
    records = await mock.records("readings")
    assert numbers(records) == list(range(30))
    first = next(record for record in records if b'"n":0,' in record.value)
    assert (first.key, first.timestamp) == (b"d0", AT_MS)
    assert first.headers == (("id", b"fwd:edge:readings:0"), ("queue", b"readings"), ("name", b"reading"))
    places = {record.key: record.partition for record in records}
    assert all(record.partition == places[record.key] for record in records)
    for key in (b"d0", b"d1", b"d2"):
        of_key = [msgspec.json.decode(record.value)["n"] for record in records if record.key == key]
        assert of_key == sorted(of_key)


@pytest.mark.parametrize("compression", ["none", "gzip", "snappy", "lz4", "zstd"])
async def test_data_goes_as_it_is_or_as_json(mock: MockKafka, sinks: list[Sink], compression: str) -> None:
    odd = {"b": b"\x00\xff", "nan": float("nan"), "t": "ä"}
    for topic, value in (("raw", "msgpack"), ("text", "json")):
        to = f"kafka://{mock.url}"
        sinks.append(sink := sink_of(mock.url, to=to, topic=topic, value=value, compression=compression))
        await sink.connect()
        none = OutboundJob("fwd:edge:readings:2", "none", None, AT_MS)
        assert await sink.write(batch(parcel(1, odd), none)) == [None, None]
    assert {record.value for record in await mock.records("raw")} == {encode(odd), b"\xc0"}
    as_json = b'{"b":{"$bytes":"AP8="},"nan":"NaN","t":"\xc3\xa4"}'
    assert {record.value for record in await mock.records("text")} == {as_json, b"null"}


async def test_topic_and_time_may_come_from_the_data(mock: MockKafka, sinks: list[Sink]) -> None:
    sink = sink_of(mock.url, to=f"kafka://{mock.url}", topic="site-{{ data.site }}", time="data.t", key="{{ data.k }}")
    sinks.append(sink)
    await sink.connect()
    good: dict[str, Any] = {"site": "a", "t": "2026-11-22T10:00:00Z", "k": ""}
    bad: list[dict[str, Any]] = [{"site": "a/b"}, {"t": "noon"}, {"t": -5}, {"site": "x" * 250}]
    lacking = [{"site": "a", "t": 5}, {"k": "", "t": 5}, {"k": "", "site": "a"}]
    jobs = [
        parcel(0, good),
        *(parcel(n, {**good, **odd}) for n, odd in enumerate(bad)),
        *map(parcel, range(3), lacking),
    ]
    results = await sink.write(batch(*jobs, parcel(8, {**good, "site": "b", "t": 1_763_805_600})))
    assert [type(result) for result in results] == [type(None), *[Rejected] * 7, type(None)]
    (first,) = await mock.records("site-a")
    (second,) = await mock.records("site-b")
    assert (first.key, first.timestamp) == (None, 1_795_341_600_000)
    assert second.timestamp == 1_763_805_600_000


async def test_an_idempotent_producer_writes_once_through_lost_answers(mock: MockKafka, sinks: list[Sink]) -> None:
    sinks.append(sink := sink_of(mock.url))
    await sink.connect()
    mock.fail(mock_kafka.PRODUCE, mock_kafka.REQUEST_TIMED_OUT, mock_kafka.NOT_LEADER, mock_kafka.NOT_ENOUGH_REPLICAS)
    for start in range(0, 60, 20):
        assert await sink.write(batch(*(parcel(n) for n in range(start, start + 20)))) == [None] * 20
    assert numbers(await mock.records("readings")) == list(range(60))


@pytest.mark.parametrize(
    ("code", "error"),
    [(mock_kafka.MESSAGE_TOO_LARGE, "payload_too_large"), (mock_kafka.INVALID_TIMESTAMP, "invalid")],
)
async def test_a_record_that_the_broker_refuses_is_found_among_others(
    mock: MockKafka, sinks: list[Sink], code: int, error: str
) -> None:
    sinks.append(sink := sink_of(mock.url, key="same"))  # one partition, one request
    await sink.connect()
    mock.fail(mock_kafka.PRODUCE, code, 0, 0, code)  # the request of all; then each alone: the third is the one
    results = await sink.write(batch(*(parcel(n) for n in range(4))))
    assert [result and result.code for result in results] == [None, None, error, None]
    assert numbers(await mock.records("readings")) == [0, 1, 3]
    assert await sink.write(batch(parcel(9))) == [None]


async def test_a_record_beyond_the_bound_is_refused_before_it_is_sent(mock: MockKafka, sinks: list[Sink]) -> None:
    sinks.append(sink := sink_of(mock.url, max_record="2KB"))
    await sink.connect()
    results = await sink.write(batch(parcel(1), parcel(2, {"pad": "x" * 2048}), parcel(3)))
    assert [result and result.code for result in results] == [None, "payload_too_large", None]
    assert numbers(await mock.records("readings")) == [1, 3]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (mock_kafka.TOPIC_AUTHORIZATION_FAILED, Reason.AUTH),
        (mock_kafka.OUT_OF_ORDER, Reason.STORE),
        (mock_kafka.INVALID_PRODUCER_EPOCH, Reason.STORE),
    ],
)
async def test_an_error_that_ends_the_session_is_waited_out_by_the_next(
    mock: MockKafka, sinks: list[Sink], code: int, reason: Reason
) -> None:
    sinks.append(sink := sink_of(mock.url))
    await sink.connect()
    mock.fail(mock_kafka.PRODUCE, *[code] * 4)  # one for each partition that may be written to
    found = down(await deliver(sink, batch(*(parcel(n) for n in range(10)))))
    assert (found.reason, found.alert) == (reason, True)
    for _ in range(4):  # what is left of the errors
        await sink.connect()
        if not isinstance(await deliver(sink, batch(*(parcel(n) for n in range(10)))), Down):
            break
    assert set(numbers(await mock.records("readings"))) == set(range(10))


async def test_no_right_to_be_idempotent_is_said(mock: MockKafka, sinks: list[Sink]) -> None:
    sinks.append(sink := sink_of(mock.url, write_timeout="2s"))
    mock.fail(mock_kafka.INIT_PRODUCER_ID, mock_kafka.CLUSTER_AUTHORIZATION_FAILED)
    found = await connect_trouble(sink)
    assert found.reason is Reason.AUTH
    assert "idempotent: false" in found.error


async def test_a_broker_that_goes_away_is_noticed_and_comes_back(mock: MockKafka, sinks: list[Sink]) -> None:
    sinks.append(sink := sink_of(mock.url, write_timeout="3s"))
    await sink.connect()
    assert await sink.write(batch(parcel(1))) == [None]
    mock.set_down(down=True)
    found = down(await deliver(sink, batch(parcel(2))))
    assert (found.reason, found.alert) == (Reason.UNREACHABLE, False)
    await sink.close()
    assert (await connect_trouble(sink)).reason is Reason.UNREACHABLE
    mock.set_down(down=False)
    await sink.connect()
    assert await sink.write(batch(parcel(2))) == [None]
    assert numbers(await mock.records("readings")) == [1, 2]


async def test_an_idle_producer_tells_that_its_broker_is_gone(mock: MockKafka, sinks: list[Sink]) -> None:
    sinks.append(sink := sink_of(mock.url))
    await sink.connect()
    mock.set_down(down=True)
    with pytest.raises(Exception) as failure:
        await soon(sink.lost())
    assert down(verdict(failure.value)).reason is Reason.UNREACHABLE


async def test_a_broker_that_is_killed_and_comes_back_empty_is_written_to(tmp_path: Path, sinks: list[Sink]) -> None:
    broker = Tansu(tmp_path)
    sinks.append(sink := sink_of(broker.url, idempotent=False, write_timeout="1s"))
    for start in (0, 10):
        async with broker:
            await broker.topic("readings")
            await delivered(sink, batch(*(parcel(n) for n in range(start, start + 10))))
            assert set(numbers(await broker.records("readings"))) == set(range(start, start + 10))
        assert down(await deliver(sink, batch(parcel(99)))).reason is Reason.UNREACHABLE
        await sink.close()  # as the link does: what was under way is given up with the session


async def test_a_broker_that_is_frozen_is_left_in_time(tmp_path: Path, sinks: list[Sink]) -> None:
    async with Tansu(tmp_path) as broker:
        await broker.topic("readings")
        sinks.append(sink := sink_of(broker.url, idempotent=False, write_timeout="1s"))
        await delivered(sink, batch(parcel(1)))
        broker.freeze()
        found = down(await soon(deliver(sink, batch(parcel(2)))))
        assert found.reason in (Reason.TIMEOUT, Reason.UNREACHABLE)
        await soon(sink.close())
        broker.thaw()
        await delivered(sink, batch(parcel(2)))


async def test_a_topic_that_is_not_there_is_named(mock: MockKafka, sinks: list[Sink]) -> None:
    mock.deny("readings", mock_kafka.UNKNOWN_TOPIC)
    sinks.append(sink := sink_of(mock.url, write_timeout="1s"))
    await sink.connect()
    found = down(await deliver(sink, batch(parcel(1))))
    assert (found.reason, found.alert) == (Reason.PROTOCOL, True)
    assert "topic" in found.error


@pytest.mark.parametrize(
    ("code", "reason"),
    [(mock_kafka.UNKNOWN_TOPIC, Reason.PROTOCOL), (mock_kafka.TOPIC_AUTHORIZATION_FAILED, Reason.AUTH)],
)
async def test_a_topic_of_the_data_that_is_not_to_be_had_holds_no_other_up(
    mock: MockKafka, sinks: list[Sink], code: int, reason: Reason
) -> None:
    mock.deny("odd", code)
    to = {"to": f"kafka://{mock.url}", "kafka": {"topic": "{{ data.to }}"}, "write_timeout": "1s"}
    sinks.append(sink := make_sink(way_of(to).destination))
    await sink.connect()
    jobs = batch(*(parcel(n, {"to": to, "n": n}) for n, to in enumerate(("a", "odd", "b", "odd", "a"))))
    results = (await advance(sink, jobs)).results
    assert [result is None for result in results] == [True, False, True, False, True]
    for result in (results[1], results[3]):
        found = down(result)
        assert (found.reason, found.answered, "topic odd" in found.error) == (reason, True, True)
    assert [len(await mock.records(topic)) for topic in ("a", "b")] == [2, 1]


async def test_a_user_whom_the_broker_does_not_know_is_an_alert(tmp_path: Path) -> None:
    async with Tansu(tmp_path, options=("--authentication",)) as broker:
        for mechanism in ("scram-sha-256", "scram-sha-512"):
            sink = sink_of(broker.url, username="hub", password="wrong", mechanism=mechanism)
            found = await connect_trouble(sink)
            assert (found.reason, found.alert) == (Reason.AUTH, True)


async def test_brokers_are_reached_over_tls_with_a_private_ca(tmp_path: Path, sinks: list[Sink]) -> None:
    files = certificates.make(tmp_path / "tls")
    broker = Tansu(tmp_path)  # whose own TLS does not start
    async with encrypted(broker.port, files) as port:
        broker.public_port = port
        async with broker:
            await broker.topic("readings")
            to = f"kafkas://127.0.0.1:{port}/readings"
            sinks.append(sink := sink_of(broker.url, to=to, ca_file=str(files.ca), idempotent=False))
            await delivered(sink, batch(parcel(1)))
            await sink.close()
            stranger = sink_of(broker.url, to=to, ca_file=str(files.other_ca))
            assert (await connect_trouble(stranger)).reason is Reason.TLS
