"""AMQP queues of a real RabbitMQ become jobs: killed, restarted, full, encrypted."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator
from pathlib import Path

import aio_pika
import pytest

from hubqueue.client.address import Tls
from hubqueue.client.local import LocalHub
from hubqueue.hub.settings import HubSettings
from hubqueue.ingest.into import Into
from hubqueue.model.bounds import QueueBounds
from hubqueue.model.outcome import Complete, Settlement
from hubqueue.model.payload import decode
from hubqueue.model.state import State
from hubqueue.sources.amqp import AmqpFeed
from hubqueue.sources.settings import AmqpSource
from support.certificates import Certificates, make
from support.rabbitmq import RabbitMq
from support.waiting import at_once, until

pytestmark = pytest.mark.slow  # a broker starts


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory, certificates: Certificates) -> Iterator[RabbitMq]:
    """One for all: its start takes longer than the tests."""
    broker = RabbitMq(tmp_path_factory.mktemp("rabbitmq"), tls=certificates)
    try:
        asyncio.run(broker.start())
        yield broker
    finally:
        broker.end()


@pytest.fixture
def queue() -> str:
    """A queue of the test's own."""
    return f"orders-{uuid.uuid4()}"


async def publish(broker: RabbitMq, queue: str, *messages: aio_pika.Message) -> None:
    connection = await aio_pika.connect(broker.url)
    async with connection:
        channel = await connection.channel()
        await channel.declare_queue(queue, durable=True)
        for message in messages:
            await channel.default_exchange.publish(message, routing_key=queue)


def reading(n: int, *, id: str | None = None) -> aio_pika.Message:
    return aio_pika.Message(
        b'{"n": %d}' % n, message_id=id, delivery_mode=aio_pika.DeliveryMode.PERSISTENT, headers={"site": "north"}
    )


async def numbers(hub: LocalHub, queue: str, state: State = State.WAITING) -> list[int]:
    page = await hub.list_jobs(queue, (state,), limit=10_000)
    return [decode(job.data)["n"] for job in page.jobs]


def source(broker: RabbitMq, queue: str, prefetch: int = 100) -> AmqpSource:
    return AmqpSource(name="orders", url=broker.url, queue=queue, into=Into(queue="in"), prefetch=prefetch)


async def left(broker: RabbitMq, queue: str) -> int:
    connection = await aio_pika.connect(broker.url)
    async with connection:
        channel = await connection.channel()
        found = await channel.declare_queue(queue, durable=True)
        return found.declaration_result.message_count or 0


async def test_messages_become_jobs_and_the_broker_may_restart(tmp_path: Path, broker: RabbitMq, queue: str) -> None:
    await publish(broker, queue, *(reading(n, id=f"m{n}") for n in range(300)), aio_pika.Message(b"not json"))
    async with await LocalHub.open(tmp_path / "hub.db") as hub:
        feed = AmqpFeed(hub, source(broker, queue))
        feed.start()
        try:
            await until(lambda: feed.status.counts.acknowledged == 301)
            assert await numbers(hub, "in") == list(range(300))
            dead = (await hub.list_jobs("_unroutable", (State.FAILED,))).jobs
            assert [decode(job.data)["payload"] for job in dead] == [b"not json"]
            assert decode(dead[0].data)["source"] == "orders"

            broker.kill()
            await until(lambda: not feed.status.up)
            assert feed.status.error is not None
            assert "guest:guest" not in feed.status.url + feed.status.error
            await broker.start()
            await publish(broker, queue, *(reading(n) for n in range(300, 310)))

            async def complete() -> bool:
                return sorted(await numbers(hub, "in")) == list(range(310))

            await until(complete, 90)

            async def nothing_is_left() -> bool:
                # stored is not yet acknowledged, and messages whose acknowledgement the broker has lost come again
                return feed.status.counts.acknowledged >= 311 and await left(broker, queue) == 0

            await until(nothing_is_left, 90)
        finally:
            await feed.close()


async def test_what_comes_again_is_known_by_its_message_id(tmp_path: Path, broker: RabbitMq, queue: str) -> None:
    async with await LocalHub.open(tmp_path / "hub.db") as hub:
        await publish(broker, queue, reading(1, id="a"), reading(1, id="a"), reading(2, id="b"))
        feed = AmqpFeed(hub, source(broker, queue))
        feed.start()
        try:
            await until(lambda: feed.status.counts.acknowledged == 3)
            assert sorted(await numbers(hub, "in")) == [1, 2]
            await hub.drain("in")
        finally:
            await feed.close()


async def test_a_clean_stop_acknowledges_exactly_what_is_stored(tmp_path: Path, broker: RabbitMq, queue: str) -> None:
    """Messages without an id: what is stored and not acknowledged would be a second job."""
    count = 600
    await publish(broker, queue, *(reading(n) for n in range(count)))
    async with await LocalHub.open(tmp_path / "hub.db") as hub:
        there, rounds = 0, 0
        while there < count:
            feed = AmqpFeed(hub, source(broker, queue, 30))
            more = min(count - there, 60 + 20 * rounds)
            feed.start()
            await at_once(lambda feed=feed, more=more: feed.status.counts.enqueued >= more)  # type: ignore[misc]
            await feed.close()  # in the middle of it
            there, rounds = len(await numbers(hub, "in")), rounds + 1
            assert await left(broker, queue) == count - there
        assert sorted(await numbers(hub, "in")) == list(range(count))
        assert rounds > 3


async def test_a_full_queue_leaves_messages_to_the_broker(tmp_path: Path, broker: RabbitMq, queue: str) -> None:
    settings = HubSettings(queues={"in": QueueBounds(max_jobs=20)})
    async with await LocalHub.open(tmp_path / "hub.db", settings) as hub:
        await publish(broker, queue, *(reading(n) for n in range(50)))
        feed = AmqpFeed(hub, source(broker, queue, prefetch=10))
        feed.start()
        try:
            await until(lambda: feed.status.held == "queue_full")
            assert (await hub.counts("in")).waiting == 20
            got: list[int] = []
            while len(got) < 50:
                for leased in await hub.lease("in", 20, owner="test", wait_ms=1000):
                    got.append(decode(leased.job.data)["n"])
                    await hub.settle([Settlement(leased.job.id, leased.token, Complete())])
            assert got == list(range(50))
            await until(lambda: feed.status.held is None)
        finally:
            await feed.close()


async def test_an_encrypted_connection_checks_the_certificate(
    tmp_path: Path, broker: RabbitMq, queue: str, certificates: Certificates
) -> None:
    await publish(broker, queue, reading(1))
    url = f"amqps://guest:guest@localhost:{broker.tls_port}/"
    async with await LocalHub.open(tmp_path / "hub.db") as hub:
        strangers = AmqpFeed(hub, AmqpSource(name="x", url=url, queue=queue, into=Into(queue="in"), tls=Tls()))
        strangers.start()
        await until(lambda: strangers.status.error is not None)
        await strangers.close()
        assert "certificate" in (strangers.status.error or "").lower()
        tls = Tls(ca_file=str(certificates.ca))
        feed = AmqpFeed(hub, AmqpSource(name="x", url=url, queue=queue, into=Into(queue="in"), tls=tls))
        feed.start()
        await until(lambda: feed.status.counts.acknowledged == 1)
        await feed.close()
        assert await numbers(hub, "in") == [1]
