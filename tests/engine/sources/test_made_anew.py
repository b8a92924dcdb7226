"""Whether a topic is the one that was read: told by its last record that is stored, not by how long it seems to be."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest
from aiokafka import AIOKafkaProducer

from hubqueue.hub.hub import Hub
from hubqueue.ingest.into import Into
from hubqueue.model.outcome import Blob
from hubqueue.model.payload import decode
from hubqueue.sources import kafka
from hubqueue.sources.consumer import Consumer
from hubqueue.sources.kafka import KafkaFeed
from hubqueue.sources.mark import Mark
from hubqueue.sources.message import Message
from hubqueue.sources.partition import Committed, Known, Partition
from hubqueue.sources.settings import KafkaBrokers, KafkaSource
from support.mock_kafka import MockKafka
from support.waiting import until

COUNT = 10  # records in the topic


@pytest.fixture(scope="module")
def brokers() -> Iterator[MockKafka]:
    with MockKafka(join_ms=100) as cluster:
        yield cluster


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kafka, "DOUBTS", 1)
    monkeypatch.setattr(kafka, "FIRST_RETRY_S", 0.05)
    monkeypatch.setattr(kafka, "COMMIT_S", 0.1)
    monkeypatch.setattr(kafka, "READ_S", 0.1)


def told(offset: int, n: int | None = None) -> Mark:
    """A mark behind this record, as `filled` makes it, or as one that says something else."""
    payload = b'{"n": %d}' % (offset if n is None else n)
    return Mark.of(Message("t", payload, at_ms=1_000, key="k", offset=offset))


async def filled(brokers: MockKafka, start: Literal["earliest", "latest"] = "earliest") -> KafkaSource:
    topic = f"t-{uuid.uuid4().hex}"
    async with AIOKafkaProducer(bootstrap_servers=brokers.url, acks="all") as producer:
        for n in range(COUNT):
            await producer.send(topic, b'{"n": %d}' % n, key=b"k", partition=0, timestamp_ms=1_000)
        await producer.flush()
    return KafkaSource(
        name="plant",
        brokers=KafkaBrokers((brokers.url,)),
        topics=(topic,),
        group=topic,
        start=start,
        into=Into(queue="in"),
        session_s=3.0,  # a third is time for an answer without records, which takes the broker 0.5 s
    )


async def read(tmp_path: Path, source: KafkaSource, mark: Mark, count: int, brokers: MockKafka) -> list[int]:
    """What becomes jobs where this was stored before: so many at least, and one that is sent when they are there."""
    async with await Hub.open(tmp_path / "hub.db") as hub:
        place = Blob(f"{source.brokers.url} {source.group}", f"{source.topics[0]}:0", msgspec.msgpack.encode(mark))
        await hub.settle([], blobs=[place])
        feed = KafkaFeed(hub, source)
        feed.start()
        try:
            await until(lambda: feed.status.up and feed.status.counts.enqueued >= count)
            async with AIOKafkaProducer(bootstrap_servers=brokers.url, acks="all") as producer:
                await producer.send_and_wait(source.topics[0], b'{"n": -1}', partition=0)
            await until(lambda: feed.status.counts.enqueued >= count + 1)
        finally:
            await feed.close()
        jobs: list[Any] = [decode(job.data)["n"] for job in (await hub.list_jobs("in", limit=1000)).jobs]
        return sorted(jobs)


@pytest.mark.parametrize("start", ["earliest", "latest"])
async def test_what_the_brokers_have_forgotten_of_a_group_is_known_here(
    tmp_path: Path, brokers: MockKafka, start: Literal["earliest", "latest"]
) -> None:
    source = await filled(brokers, start)
    assert await read(tmp_path, source, told(6), 3, brokers) == [-1, 7, 8, 9]


@pytest.mark.parametrize("start", ["earliest", "latest"])
@pytest.mark.parametrize("mark", [told(20), told(6, n=99), told(9, n=99)], ids=["shorter", "longer", "as long"])
async def test_a_topic_made_anew_is_read_from_its_start(
    tmp_path: Path, brokers: MockKafka, start: Literal["earliest", "latest"], mark: Mark
) -> None:
    source = await filled(brokers, start)
    assert await read(tmp_path, source, mark, COUNT, brokers) == [-1, *range(COUNT)]


@pytest.mark.parametrize("committed", [None, Committed(COUNT)], ids=["never committed", "committed"])
async def test_a_broker_whose_end_is_behind_has_the_same_topic(
    tmp_path: Path, brokers: MockKafka, monkeypatch: pytest.MonkeyPatch, committed: Committed | None
) -> None:
    async def behind(self: Consumer, partitions: set[Partition]) -> dict[Partition, Known]:
        return {each: Known(0, 4, committed) if each.number == 0 else Known(0, 0, None) for each in partitions}

    monkeypatch.setattr(Consumer, "known", behind)
    assert await read(tmp_path, await filled(brokers), told(COUNT - 1), 0, brokers) == [-1]


async def test_where_it_cannot_be_told_it_is_looked_at_again_before_everything_is_read(
    tmp_path: Path, brokers: MockKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The record that would tell is the next to come: behind for a moment, or made anew and one shorter."""
    looks: list[int] = []
    record = Consumer.record

    async def looked(self: Consumer, partition: Partition, offset: int) -> Any:
        looks.append(offset)
        return await record(self, partition, offset)

    monkeypatch.setattr(Consumer, "record", looked)
    source = await filled(brokers)
    assert await read(tmp_path, source, told(COUNT, n=99), COUNT, brokers) == [-1, *range(COUNT)]
    assert looks == [COUNT] * (kafka.DOUBTS + 1)
