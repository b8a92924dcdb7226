"""A hub that reads Kafka and RabbitMQ is killed again and again while both are filled: every message is one job."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path

import aio_pika
import pytest
from aiokafka import AIOKafkaProducer

import hubqueue
from support.hub_process import HubProcess
from support.rabbitmq import RabbitMq
from support.tansu import Tansu
from support.waiting import until

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
]  # brokers start, and a group waits for members that were killed
MESSAGES = 3000  # to each of the two
KILLS = 4
CONFIG = """
data_path: hub.db
sources:
  - {{name: plant, from: "kafka://{kafka}/readings?group=hub-7", queue: kafka, kafka: {{session: 6s}}}}
  - {{name: orders, from: "{amqp}", amqp: {{queue: orders}}, queue: amqp}}
"""


@pytest.fixture
def rabbitmq(tmp_path: Path) -> Iterator[RabbitMq]:
    broker = RabbitMq(tmp_path)
    try:
        yield broker
    finally:
        broker.end()


async def fill_kafka(broker: Tansu, pause_s: float) -> None:
    async with AIOKafkaProducer(bootstrap_servers=broker.url, acks="all") as producer:
        for n in range(MESSAGES):
            await producer.send("readings", b'{"n": %d}' % n, partition=n % 3)
            await asyncio.sleep(pause_s)
        await producer.flush()


async def fill_amqp(broker: RabbitMq, pause_s: float) -> None:
    connection = await aio_pika.connect(broker.url)
    async with connection:
        exchange = (await connection.channel()).default_exchange
        for n in range(MESSAGES):
            message = aio_pika.Message(
                b'{"n": %d}' % n, message_id=f"order-{n}", delivery_mode=aio_pika.DeliveryMode.PERSISTENT
            )
            await exchange.publish(message, routing_key="orders")
            await asyncio.sleep(pause_s)


async def declare(broker: RabbitMq) -> None:
    connection = await aio_pika.connect(broker.url)
    async with connection:
        await (await connection.channel()).declare_queue("orders", durable=True)


async def waiting(hub: HubProcess, queue: str) -> int:
    async with hubqueue.Client(hub.url) as client:
        return (await client.queue(queue).counts()).waiting


async def taken(hub: HubProcess, queue: str) -> list[int]:
    """The numbers of all jobs, which are completed by it."""
    found: list[int] = []
    async with hubqueue.Client(hub.url) as client:
        while True:
            async with client.queue(queue).take(500, wait=0) as batch:
                if not batch:
                    return found
                found += [job.data["n"] for job in batch]


async def test_every_message_is_one_job_over_kills_of_the_hub(tmp_path: Path, rabbitmq: RabbitMq) -> None:
    chance = random.Random(8)
    config = tmp_path / "hubqueue.yaml"
    await rabbitmq.start()
    await declare(rabbitmq)
    async with Tansu(tmp_path) as kafka:
        await kafka.topic("readings", 3)
        config.write_text(CONFIG.format(kafka=kafka.url, amqp=rabbitmq.url))
        with HubProcess(tmp_path, "--tcp-port", "0", config=config) as hub:
            filling = asyncio.gather(fill_kafka(kafka, 0.01), fill_amqp(rabbitmq, 0.01))
            for _ in range(KILLS):
                before = {queue: await waiting(hub, queue) for queue in ("kafka", "amqp")}

                async def further(before: dict[str, int] = before) -> bool:
                    return all([await waiting(hub, queue) > count for queue, count in before.items()])

                await until(further, 120)
                await asyncio.sleep(chance.uniform(0, 0.5))
                hub.kill()
                hub.start()
            await filling

            async def complete() -> bool:
                return [await waiting(hub, "kafka"), await waiting(hub, "amqp")] == [MESSAGES, MESSAGES]

            await until(complete, 180)
            assert sorted(await taken(hub, "kafka")) == list(range(MESSAGES))
            assert sorted(await taken(hub, "amqp")) == list(range(MESSAGES))
