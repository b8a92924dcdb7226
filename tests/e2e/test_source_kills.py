"""Messages in = jobs out: Kafka and RabbitMQ through a hub that is slowed down, stopped and killed under way.

Every message is one job: how far a partition was read stands in the file with the jobs, and so do the ids of messages.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import aio_pika
import pytest
from aiokafka import AIOKafkaProducer

from support.hub_process import HubProcess
from support.ordeal import numbers, undergo
from support.rabbitmq import RabbitMq
from support.tansu import Tansu
from support.torture import sized

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(sized(ci=1800, full=36_000)),
]  # brokers start, and a group waits for members that were killed
EACH = sized(ci=1000, full=20_000)  # of a burst, to each of the two
CONFIG = """
data_path: hub.db
sources:
  - {{name: plant, from: "kafka://{kafka}/readings?group=hub-7", queue: kafka, kafka: {{session: 6s}}}}
  - {{name: orders, from: "{amqp}", amqp: {{queue: orders, prefetch: 200}}, queue: amqp}}
"""


@pytest.fixture
def rabbitmq(tmp_path: Path) -> Iterator[RabbitMq]:
    broker = RabbitMq(tmp_path)
    try:
        yield broker
    finally:
        broker.end()


async def fill_kafka(broker: Tansu, first: int, count: int) -> None:
    """A record in a batch: Tansu says that a partition ends behind the first record of its last batch."""
    async with AIOKafkaProducer(bootstrap_servers=broker.url, acks="all", max_batch_size=1) as producer:
        for n in range(first, first + count):
            await producer.send("readings", b'{"n": %d}' % n, partition=n % 3)
        await producer.flush()


async def fill_amqp(broker: RabbitMq, first: int, count: int) -> None:
    connection = await aio_pika.connect(broker.url)
    async with connection:
        exchange = (await connection.channel()).default_exchange
        for n in range(first, first + count):
            message = aio_pika.Message(
                b'{"n": %d}' % n, message_id=f"order-{n}", delivery_mode=aio_pika.DeliveryMode.PERSISTENT
            )
            await exchange.publish(message, routing_key="orders")


async def declare(broker: RabbitMq) -> None:
    connection = await aio_pika.connect(broker.url)
    async with connection:
        await (await connection.channel()).declare_queue("orders", durable=True)


async def test_every_message_is_one_job_over_stops_and_kills_of_a_slow_hub(tmp_path: Path, rabbitmq: RabbitMq) -> None:
    config, file = tmp_path / "hubqueue.yaml", tmp_path / "hub.db"
    await rabbitmq.start()
    await declare(rabbitmq)
    async with Tansu(tmp_path) as kafka:
        await kafka.topic("readings", 3)
        config.write_text(CONFIG.format(kafka=kafka.url, amqp=rabbitmq.url))

        async def send(first: int, count: int) -> None:
            await asyncio.gather(fill_kafka(kafka, first, count), fill_amqp(rabbitmq, first, count))

        with HubProcess(tmp_path, "--tcp-port", "0", config=config) as hub:
            sent = await undergo(hub, file, ("kafka", "amqp"), send, EACH)
            assert hub.stop() == 0
    for queue in ("kafka", "amqp"):
        assert numbers(file, queue) == Counter(range(sent))
