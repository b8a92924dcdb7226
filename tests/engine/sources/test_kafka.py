"""Topics of a real broker (Tansu) become jobs: each record once, whatever is killed; bounded; held back when full."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from hubqueue.errors import StoreError
from hubqueue.hub.hub import Hub
from hubqueue.hub.settings import HubSettings
from hubqueue.ingest.batches import BATCH
from hubqueue.ingest.into import Into
from hubqueue.model.bounds import QueueBounds
from hubqueue.model.outcome import Complete, Settlement
from hubqueue.model.payload import decode
from hubqueue.model.state import State
from hubqueue.sources.kafka import KafkaFeed
from hubqueue.sources.settings import KafkaBrokers, KafkaSource
from support.tansu import Tansu
from support.waiting import until

pytestmark = pytest.mark.slow  # a broker starts, groups settle
SESSION_S = 6.0
JOIN_S = 90.0  # a group of Tansu takes up to 20 s on a machine that has nothing else to do


@pytest.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Tansu]:
    async with Tansu(tmp_path) as broker:
        await broker.topic("readings", 2)
        yield broker


async def send(broker: Tansu, values: list[bytes], partition: int | None = None) -> None:
    async with AIOKafkaProducer(bootstrap_servers=broker.url, acks="all") as producer:
        for value in values:
            await producer.send(
                "readings", value, key=b"d1", partition=partition, headers=[("site", b"north")], timestamp_ms=1_000
            )
        await producer.flush()


def readings(first: int, end: int) -> list[bytes]:
    return [b'{"n": %d}' % n for n in range(first, end)]


def source(broker: Tansu, into: Into | None = None, group: str | None = None) -> KafkaSource:
    return KafkaSource(
        name="plant",
        brokers=KafkaBrokers((broker.url,)),
        topics=("readings",),
        group=group or f"g-{uuid.uuid4()}",
        into=into or Into(queue="in"),
        session_s=SESSION_S,
    )


async def jobs(hub: Hub, queue: str, state: State = State.WAITING) -> list[Any]:
    return [decode(job.data) for job in (await hub.list_jobs(queue, (state,), limit=10_000)).jobs]


async def test_records_become_jobs_once_and_are_committed_after(tmp_path: Path, broker: Tansu) -> None:
    settings = source(broker)
    await send(broker, [*readings(0, 200), b"not json"], partition=0)
    await send(broker, readings(200, 300), partition=1)
    async with await Hub.open(tmp_path / "hub.db") as hub:
        feed = KafkaFeed(hub, settings)
        feed.start()
        try:
            await until(lambda: feed.status.counts.acknowledged == 301, JOIN_S)
            assert feed.status.up
            assert sorted(each["n"] for each in await jobs(hub, "in")) == list(range(300))
            assert (await hub.list_jobs("in", limit=1)).jobs[0].created_at_ms == 1_000
            (dead,) = await jobs(hub, "_unroutable", State.FAILED)
            assert (dead["payload"], dead["partition"], dead["offset"]) == (b"not json", 0, 200)
            await until(lambda: feed.status.lag == 0)
        finally:
            await feed.close()


async def test_what_was_stored_and_not_committed_makes_no_second_job(
    tmp_path: Path, broker: Tansu, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after a kill between the two: the group begins again, and the job file knows better."""
    settings = source(broker)
    await send(broker, readings(0, 50), partition=0)
    async with await Hub.open(tmp_path / "hub.db") as hub:
        first = KafkaFeed(hub, settings)
        with monkeypatch.context() as patch:
            patch.setattr(KafkaFeed, "_commit", _nothing)
            first.start()
            await until(lambda: first.status.counts.enqueued == 50, JOIN_S)
            await first.close()
        await send(broker, readings(50, 60), partition=0)
        second = KafkaFeed(hub, settings)
        second.start()
        try:
            await until(lambda: second.status.counts.acknowledged == 10, JOIN_S)
            assert [each["n"] for each in await jobs(hub, "in")] == list(range(60))
        finally:
            await second.close()


async def _nothing(*_: object) -> None:
    await asyncio.sleep(0)


async def test_a_job_file_that_cannot_be_read_for_a_moment_stops_nothing(
    tmp_path: Path, broker: Tansu, monkeypatch: pytest.MonkeyPatch
) -> None:
    await send(broker, readings(0, 20), partition=0)
    async with await Hub.open(tmp_path / "hub.db") as hub:
        read, failed = hub.blob, asyncio.Event()

        async def blob(namespace: str, key: str) -> bytes | None:
            if not failed.is_set():
                failed.set()
                raise StoreError("disk I/O error")
            return await read(namespace, key)

        monkeypatch.setattr(hub, "blob", blob)
        feed = KafkaFeed(hub, source(broker))
        feed.start()
        try:
            await until(lambda: feed.status.counts.acknowledged == 20, 2 * JOIN_S)
            assert failed.is_set()
            assert [each["n"] for each in await jobs(hub, "in")] == list(range(20))
        finally:
            await feed.close()


async def test_a_full_queue_holds_back_its_partition_and_no_other(tmp_path: Path, broker: Tansu) -> None:
    into = Into(queue="part-{{ partition }}")
    await send(broker, readings(0, 50), partition=0)
    await send(broker, readings(0, 50), partition=1)
    bounds = HubSettings(queues={"part-0": QueueBounds(max_jobs=7)})
    async with await Hub.open(tmp_path / "hub.db", bounds) as hub:
        feed = KafkaFeed(hub, source(broker, into))
        feed.start()
        try:
            await until(lambda: feed.status.held == "queue_full", JOIN_S)
            assert feed._limit() == BATCH
            got: list[int] = []
            assert len(await jobs(hub, "part-1")) == 50
            while len(got) < 50:
                for leased in await hub.lease("part-0", 5, owner="test", wait_ms=1000):
                    got.append(decode(leased.job.data)["n"])
                    await hub.settle([Settlement(leased.job.id, leased.token, Complete())])
            assert got == list(range(50))
            await until(lambda: feed.status.held is None)
        finally:
            await feed.close()


async def test_a_broker_that_is_away_is_waited_for(tmp_path: Path) -> None:
    broker = Tansu(tmp_path)
    async with await Hub.open(tmp_path / "hub.db") as hub:
        feed = KafkaFeed(hub, source(broker))
        feed.start()
        try:
            await until(lambda: feed.status.error is not None)
            assert "no broker can be reached" in (feed.status.error or "")
            async with broker:
                await broker.topic("readings", 1)
                await send(broker, readings(0, 5))
                await until(lambda: feed.status.counts.enqueued == 5, JOIN_S)
        finally:
            await feed.close()


async def test_the_job_can_say_where_it_came_from(tmp_path: Path, broker: Tansu) -> None:
    into = Into(queue="{{ headers.site }}", name="{{ key }}", shape="message", where="payload.n != 1")
    await send(broker, readings(0, 3), partition=1)
    async with await Hub.open(tmp_path / "hub.db") as hub:
        feed = KafkaFeed(hub, source(broker, into))
        feed.start()
        try:
            await until(lambda: feed.status.counts.acknowledged == 3, JOIN_S)
        finally:
            await feed.close()
        assert feed.status.counts.passed == 1
        first, last = await jobs(hub, "north")
        assert (first["payload"], last["payload"]) == ({"n": 0}, {"n": 2})
        where = {key: last[key] for key in ("topic", "partition", "offset", "key", "at", "headers")}
        assert where == {
            "topic": "readings",
            "partition": 1,
            "offset": 2,
            "key": "d1",
            "at": 1_000,
            "headers": {"site": "north"},
        }
