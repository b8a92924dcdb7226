"""A log that is written in transactions, and members that come back under their name, over the real wire."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from hubqueue.hub.hub import Hub
from hubqueue.ingest.into import Into
from hubqueue.model.payload import decode
from hubqueue.sources.kafka import KafkaFeed
from hubqueue.sources.settings import KafkaBrokers, KafkaSource
from support.fleet_member import Shelf, member, pipeline_file, shelf
from support.log_broker import TOPIC, LogBroker
from support.waiting import until

AT_MS = 1_750_000_000_000


@pytest.fixture
async def broker() -> AsyncIterator[LogBroker]:
    async with LogBroker() as broker:
        yield broker


@pytest.fixture
async def sink() -> AsyncIterator[Shelf]:
    async with shelf() as made:
        yield made


def value(n: int) -> bytes:
    return b'{"d": "a", "n": %d}' % n


def numbers(sink: Shelf) -> list[int]:
    return sorted(each["n"] for each in sink.kept.values())


def write(broker: LogBroker) -> None:
    """Readings 1 to 5 count; 10 and 11 are aborted, 20 is in a transaction that goes on."""
    broker.put(value(1), value(2), at_ms=AT_MS)
    broker.put(value(10), value(11), at_ms=AT_MS, producer=7)
    broker.put(value(3), at_ms=AT_MS, producer=8)
    broker.finish(7, commit=False, at_ms=AT_MS)
    broker.finish(8, commit=True, at_ms=AT_MS)
    broker.put(value(4), value(5), at_ms=AT_MS)
    broker.put(value(20), at_ms=AT_MS, producer=9)


async def test_aborted_records_are_never_read_and_open_ones_when_they_are_committed(
    tmp_path: Path, broker: LogBroker, sink: Shelf
) -> None:
    write(broker)
    async with member(pipeline_file(tmp_path, sink), broker.url, TOPIC) as figures:
        await until(lambda: numbers(sink) == [1, 2, 3, 4, 5])
        await until(lambda: figures.lag == {(TOPIC, 0): 1})  # somebody has to end it
        broker.finish(9, commit=True, at_ms=AT_MS)
        await until(lambda: numbers(sink) == [1, 2, 3, 4, 5, 20])
        await until(lambda: figures.lag == {(TOPIC, 0): 0})  # the marker at the end is no record that waits
        await until(lambda: broker.committed[0] == broker.end)
        broker.put(value(30), at_ms=AT_MS, producer=9)
        broker.finish(9, commit=False, at_ms=AT_MS)
        await until(lambda: broker.committed[0] == broker.end)
    assert numbers(sink) == [1, 2, 3, 4, 5, 20]
    assert broker.isolation == {1}
    assert figures.deleted == 0


async def test_a_window_closes_at_a_quiet_end_behind_a_marker(tmp_path: Path, broker: LogBroker, sink: Shelf) -> None:
    broker.put(value(1), value(2), at_ms=AT_MS, producer=8)
    broker.finish(8, commit=True, at_ms=AT_MS)
    steps = "[{window: {every: 1s, by: [d], lateness: 0s, values: {n: [sum]}}}]"
    async with member(pipeline_file(tmp_path, sink, steps), broker.url, TOPIC):
        await until(lambda: len(sink.kept) == 1)
        await until(lambda: broker.committed[0] == broker.end)
    (window,) = sink.kept.values()
    assert (window["count"], window["n_sum"]) == (2, 3)
    assert "partial" not in window


async def test_a_source_of_a_hub_reads_what_is_committed_and_tells_what_was_deleted(
    tmp_path: Path, broker: LogBroker, caplog: pytest.LogCaptureFixture
) -> None:
    write(broker)
    source = KafkaSource(
        name="s", brokers=KafkaBrokers((broker.url,)), topics=(TOPIC,), into=Into(queue="in"), instance="hub-7"
    )

    async def stored(hub: Hub) -> list[Any]:
        jobs: Any = await hub.list_jobs("in", limit=100)
        return sorted(decode(job.data)["n"] for job in jobs.jobs)

    async with await Hub.open(tmp_path / "hub.db") as hub:
        feed = KafkaFeed(hub, source)
        feed.start()
        try:
            await until(lambda: feed.status.counts.acknowledged > 0)
            assert await stored(hub) == [1, 2, 3, 4, 5]
            broker.finish(9, commit=False, at_ms=AT_MS)
        finally:
            await feed.close()
        read_to = broker.committed[0]
        broker.put(*(value(n) for n in range(40, 50)), at_ms=AT_MS)
        broker.put(value(50), at_ms=AT_MS)
        broker.delete(broker.end - 1)
        feed = KafkaFeed(hub, source)
        feed.start()
        try:
            await until(lambda: feed.status.counts.acknowledged > 0)
            assert await stored(hub) == [1, 2, 3, 4, 5, 50]
            assert feed.status.counts.deleted == broker.begin - read_to
            assert "the brokers have deleted records before they were read" in caplog.text
        finally:
            await feed.close()
    assert broker.isolation == {1}
    assert broker.joined == ["hub-7", "hub-7"]


@pytest.mark.parametrize("instance", [None, "readings-0"])
async def test_a_member_with_a_name_does_not_say_goodbye(
    tmp_path: Path, broker: LogBroker, sink: Shelf, instance: str | None
) -> None:
    """So the brokers keep its partitions for it as long as a session; without a name others get them at once."""
    broker.put(value(1), at_ms=AT_MS)
    for number in range(2):
        async with member(pipeline_file(tmp_path, sink), broker.url, TOPIC, instance=instance) as figures:
            await until(lambda: figures.commits > 0)  # it is of this round
        assert broker.left == (0 if instance else number + 1)
    assert broker.joined == [instance, instance]


async def test_what_is_deleted_while_it_runs_is_passed_over_in_its_group(
    tmp_path: Path, broker: LogBroker, sink: Shelf, caplog: pytest.LogCaptureFixture
) -> None:
    broker.put(value(1), at_ms=AT_MS)
    async with member(pipeline_file(tmp_path, sink), broker.url, TOPIC) as figures:
        await until(lambda: numbers(sink) == [1])
        sink.hang()
        broker.put(value(2), at_ms=AT_MS)
        await until(lambda: sink.refused == 1)
        broker.put(value(3), value(4), at_ms=AT_MS)
        broker.put(value(5), at_ms=AT_MS)
        broker.delete(broker.end - 1)
        sink.answering.set()
        await until(lambda: numbers(sink) == [1, 2, 5])
        assert figures.deleted == 2
        assert figures.rebalances == 1
    assert "partition=t:0 offset=2 count=2" in caplog.text


async def test_an_end_that_is_told_too_early_makes_nobody_read_from_the_start(
    tmp_path: Path, broker: LogBroker, sink: Shelf
) -> None:
    broker.put(*(value(n) for n in range(5)), at_ms=AT_MS)
    async with member(pipeline_file(tmp_path, sink), broker.url, TOPIC) as figures:
        await until(lambda: figures.written == 5)
    assert broker.committed[0] == 5
    broker.behind = 1
    async with member(pipeline_file(tmp_path, sink), broker.url, TOPIC) as figures:
        await until(lambda: figures.member)
        broker.put(value(5), at_ms=AT_MS)
        await until(lambda: figures.written > 0 and numbers(sink) == list(range(6)))
        assert figures.read == 1


@pytest.mark.parametrize("left", [2, 4])
async def test_a_topic_that_was_made_anew_is_read_from_its_start(
    tmp_path: Path, broker: LogBroker, sink: Shelf, left: int
) -> None:
    """Also one of which the next record to come would be the last that was read: it may be a broker that is behind."""
    broker.put(*(value(n) for n in range(5)), at_ms=AT_MS)
    async with member(pipeline_file(tmp_path, sink), broker.url, TOPIC) as figures:
        await until(lambda: figures.written == 5)
    broker.end, broker.batches = 0, []
    broker.put(*(value(n) for n in range(10, 10 + left)), at_ms=AT_MS)
    async with member(pipeline_file(tmp_path, sink), broker.url, TOPIC) as figures:
        await until(lambda: figures.written == left)
        assert figures.rebalances == 1
    assert numbers(sink) == [*range(left, 5), *range(10, 10 + left)]  # under the ids of those that were there before
