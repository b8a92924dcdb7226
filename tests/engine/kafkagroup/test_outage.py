"""A sink, a look-up or the topic of dead letters is away: the member stays in its group, however long it takes."""

from __future__ import annotations

import logging
import uuid
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from hubqueue.kafkagroup import member as members
from hubqueue.kafkagroup import patience
from hubqueue.kafkagroup.deadletters import CUT_BYTES
from hubqueue.sources.consumer import Consumer
from hubqueue.sources.settings import KafkaBrokers
from support.fleet_member import Shelf, member, pipeline_file, shelf
from support.mock_kafka import MESSAGE_TOO_LARGE, PRODUCE, MockKafka
from support.oracle import oracle
from support.tansu import Tansu
from support.waiting import until

JOIN_S = 100.0  # groups of Tansu take up to 20 s to settle on a machine that has nothing else to do
POLL_S = 0.5  # a member that asks for nothing for so long leaves


@pytest.fixture(scope="module")
def brokers() -> Iterator[MockKafka]:
    with MockKafka(join_ms=100) as cluster:
        yield cluster


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The pauses of a member, short: an outage is longer than POLL_S after a few tries."""
    monkeypatch.setattr(patience, "FIRST_RETRY_S", 0.2)
    monkeypatch.setattr(patience, "MAX_RETRY_S", 0.4)
    monkeypatch.setattr(patience, "QUICK_S", 0.1)
    monkeypatch.setattr(patience, "READ_S", 0.1)
    monkeypatch.setattr(patience, "GRACE_S", 0.2)
    monkeypatch.setattr(members, "LOOK_S", 0.2)


@pytest.fixture
async def sink() -> AsyncIterator[Shelf]:
    async with shelf() as made:
        yield made


def topic() -> str:
    return f"t-{uuid.uuid4().hex}"


async def send(url: str, name: str, values: list[bytes], partition: int = 0, at_ms: int | None = None) -> None:
    async with AIOKafkaProducer(bootstrap_servers=url, acks="all") as producer:
        for value in values:
            await producer.send(name, value, key=b"k", partition=partition, timestamp_ms=at_ms)
        await producer.flush()


def values(first: int, end: int) -> list[bytes]:
    return [b'{"n": %d}' % n for n in range(first, end)]


def found(sink: Shelf) -> list[int]:
    return sorted(each["n"] for each in sink.kept.values())


async def test_a_member_outlives_a_sink_that_is_away_for_longer_than_it_may_be_silent(
    tmp_path: Path, brokers: MockKafka, sink: Shelf, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    name = topic()
    await send(brokers.url, name, values(0, 100))
    async with member(pipeline_file(tmp_path, sink), brokers.url, name, poll_s=POLL_S, group=name) as figures:
        await until(lambda: len(sink.kept) == 100)
        sink.away = True
        await send(brokers.url, name, values(100, 200))
        await until(lambda: sink.refused >= 8)  # at least 1.2 s, by its pauses
        assert not figures.sink_up
        assert figures.member
        assert figures.rebalances == 1
        await send(brokers.url, name, values(200, 250))
        await until(lambda: sum(figures.lag.values()) == 50)  # what is not even read is seen all the same
        sink.away = False
        await until(lambda: len(sink.kept) == 250)
        await until(lambda: figures.sink_up and sum(figures.lag.values()) == 0)
        assert figures.rebalances == 1
    assert found(sink) == list(range(250))
    assert figures.sink_failures == sink.refused
    assert "no broker" not in caplog.text
    assert "LeaveGroup request succeeded" not in caplog.text.partition("going on after")[0]
    assert caplog.text.count("waiting, partitions are paused: a sink takes nothing") == 1


@pytest.mark.slow
async def test_a_sink_that_hangs_does_not_keep_partitions_from_others(tmp_path: Path, sink: Shelf) -> None:
    """A write without an answer is broken off when the group is to be shared out anew; it is written again."""
    name = topic()
    sink.hang()
    async with Tansu(tmp_path) as shared:
        await shared.topic(name, 4)
        await _shared(tmp_path, shared, sink, name)


async def _shared(tmp_path: Path, shared: Tansu, sink: Shelf, name: str) -> None:
    file = pipeline_file(tmp_path, sink)
    for partition in range(4):
        await send(shared.url, name, values(partition * 10, partition * 10 + 10), partition)
    async with member(file, shared.url, name, group=name) as first:
        await until(lambda: sink.refused == 1, JOIN_S)
        async with member(file, shared.url, name, group=name) as second:
            await until(lambda: first.partitions == second.partitions == 2, JOIN_S)
            sink.answering.set()
            await until(lambda: len(sink.kept) == 40, JOIN_S)
    assert found(sink) == list(range(40))


@pytest.mark.parametrize("where", ["before", "after"])
async def test_a_look_up_that_is_away_is_waited_for_in_the_group(
    tmp_path: Path, brokers: MockKafka, sink: Shelf, where: str
) -> None:
    name = topic()
    async with oracle() as asked:
        asked.status = 503
        look_up = f"{{enrich: {{http: {{url: '{asked.url}x', ttl: 1ms}}, pick: [of]}}}}"
        window = "{window: {every: 1s, by: [d], lateness: 0s}}"
        steps = f"[{look_up}]" if where == "before" else f"[{window}, {look_up}]"
        await send(brokers.url, name, [b'{"d": 1, "n": 1}'] * 10, at_ms=1_750_000_000_000)
        await send(brokers.url, name, [b'{"d": 2, "n": 1}'], at_ms=1_750_000_100_000)
        file = pipeline_file(tmp_path, sink, steps)
        async with member(file, brokers.url, name, poll_s=POLL_S, group=name) as figures:
            await until(lambda: len(asked.asked) >= 3)
            assert figures.member
            assert figures.sink_up
            assert sink.kept == {}
            asked.status = 200
            await until(lambda: len(sink.kept) == (11 if where == "before" else 2))
            assert figures.rebalances == 1
    if where == "after":
        assert sorted((each["d"], each["count"]) for each in sink.kept.values()) == [(1, 10), (2, 1)]


async def test_dead_letters_that_cannot_be_written_are_waited_for_in_the_group(
    tmp_path: Path, brokers: MockKafka, sink: Shelf, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hubqueue.kafkagroup.deadletters.WRITE_S", 1.0)
    name, dead = topic(), topic()
    brokers.deny(dead, 29)
    await send(brokers.url, name, [b"{", b'{"n": 1}'])
    file = pipeline_file(tmp_path, sink)
    async with member(file, brokers.url, name, poll_s=POLL_S, group=name, dead_letters=dead) as figures:
        await until(lambda: caplog.text.count("dead letters cannot be written") >= 1)
        await until(lambda: len(sink.kept) == 1)
        brokers.deny(dead, 0)
        await until(lambda: figures.dead == 1)
        assert figures.rebalances == 1
        assert figures.written == 1
    assert [record.value for record in await brokers.records(dead)] == [b"{"]


@pytest.mark.parametrize(("refusals", "kept"), [((), 1_048_400), ((MESSAGE_TOO_LARGE,), CUT_BYTES)])
async def test_a_refused_record_that_its_topic_does_not_take_holds_up_no_others(
    tmp_path: Path, brokers: MockKafka, sink: Shelf, refusals: tuple[int, ...], kept: int
) -> None:
    """As large as records may be, and a letter is larger by its headers: written whole, or what can be of it."""
    name, dead = topic(), topic()
    await send(brokers.url, name, [b"{" * 1_048_400, b'{"n": 1}'])
    brokers.fail(PRODUCE, *refusals)
    file = pipeline_file(tmp_path, sink)
    async with member(file, brokers.url, name, poll_s=POLL_S, group=name, dead_letters=dead) as figures:
        await until(lambda: figures.dead == 1 and len(sink.kept) == 1)
    (letter,) = await brokers.records(dead)
    assert len(letter.value) == kept
    assert dict(letter.headers).get("hubqueue-size") == (b"1048400" if refusals else None)


async def test_records_that_are_deleted_while_a_sink_is_away_are_an_error_counted_and_marked(
    tmp_path: Path, brokers: MockKafka, sink: Shelf, caplog: pytest.LogCaptureFixture
) -> None:
    """The log of the mock holds about 5 MB of a partition; what is pushed out was never read."""
    name = topic()
    at_ms = 1_750_000_000_000
    steps = "[{window: {every: 1h, by: [d], values: {n: [sum]}}}]"
    await send(brokers.url, name, [b'{"d": "a", "n": 1}'] * 10, at_ms=at_ms)
    await send(brokers.url, name, [b'{"d": "b", "n": 1}'], at_ms=at_ms)
    async with member(pipeline_file(tmp_path, sink, steps), brokers.url, name, group=name) as figures:
        await until(lambda: figures.read == 11)
        sink.away = True
        # the window of an hour ago is written, and cannot be
        await send(brokers.url, name, [b'{"d": "b", "n": 1}'], at_ms=at_ms + 7_200_000)
        await until(lambda: sink.refused >= 1)
        await send(brokers.url, name, [b'{"d": "a", "n": 1}'] * 5, at_ms=at_ms + 7_200_000)
        padding = b'{"d": "c", "n": 0, "x": "%s"}' % (b"x" * 900_000)
        await send(brokers.url, name, [padding] * 8, at_ms=at_ms + 7_200_000)
        sink.away = False
        await until(lambda: figures.deleted > 0)
        await send(brokers.url, name, [b'{"d": "a", "n": 1}'] * 3, at_ms=at_ms + 7_200_000)
        await send(brokers.url, name, [b'{"d": "a", "n": 1}'], at_ms=at_ms + 14_400_000)
        await until(lambda: any(each["d"] == "a" and each["count"] == 3 for each in sink.kept.values()))
        assert figures.rebalances == 1
    windows = {(each["d"], each["start_ms"] // 3_600_000 - at_ms // 3_600_000): each for each in sink.kept.values()}
    assert windows["a", 0]["count"] == 10
    assert "partial" not in windows["a", 0]
    assert windows["a", 2] | {"start_ms": 0, "end_ms": 0} == {
        "d": "a", "start_ms": 0, "end_ms": 0, "count": 3, "n_sum": 3, "partial": True,
    }  # fmt: skip
    assert "the brokers have deleted records before they were read" in caplog.text
    assert figures.read + figures.deleted == 11 + 1 + 5 + 8 + 4


async def test_aborted_records_are_not_asked_for(brokers: MockKafka, tmp_path: Path, sink: Shelf) -> None:
    """The brokers are told so with every fetch, here and in the sources of a hub: both use the one Consumer."""

    async def nothing(_: object) -> None: ...

    consumer = Consumer(KafkaBrokers((brokers.url,)), (topic(),), "g", session_s=6, given=nothing, taken=nothing)
    await consumer.open()
    try:
        inner = consumer._consumer
        assert inner is not None
        assert inner._fetcher._isolation_level == 1
    finally:
        await consumer.close()
