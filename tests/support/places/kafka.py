"""Kafka as a place: Tansu, a real broker that keeps all in memory, behind a gate of its own.

`kill` cuts it off from everybody: killed, it would forget what it has acknowledged. It knows no user, so that one who
brings a password is refused; test_kafka_sink has one that is killed, and one that wants passwords.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
from aiokafka.errors import KafkaError

from hubqueue.model.job import NewJob
from support.places.place import QUEUE
from support.ports import free_port
from support.proxy import Proxy, Uplink
from support.tansu import Tansu
from support.waiting import in_time

MAX_RECORD = 4096


class KafkaPlace:
    """`KafkaPlace(folder)`."""

    knows = False
    ordered = True  # with one partition

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._broker = Tansu(folder)
        self._gate = Proxy(self._broker.port)
        self._gate.port = free_port()
        self._runs = False
        self.port = self._gate.port
        self.public_port = self.port

    async def start(self) -> None:
        if not self._runs:
            self._broker.public_port = self.public_port
            await self._broker.start()
            await self._broker.topic(QUEUE)
        await self._gate.set(Uplink.PASS)
        self._runs = True

    async def kill(self) -> None:
        await self._gate.set(Uplink.REFUSE)
        self._gate.cut()

    def way(self, *, stranger: bool = False) -> dict[str, Any]:
        login = {"username": "stranger", "password": "wrong"} if stranger else {}
        return {
            "to": f"kafka://127.0.0.1:{self.public_port}/{QUEUE}",
            "kafka": {"idempotent": False, "max_record": f"{MAX_RECORD}b", **login},
        }

    def poison(self) -> NewJob:
        return NewJob(data=msgspec.msgpack.encode({"n": 0, "pad": "x" * MAX_RECORD}))

    async def arrived(self) -> list[int]:
        async with in_time():
            while True:
                with suppress(KafkaError):  # readers go over public_port too, where the suite cuts connections
                    return [json.loads(record.value)["n"] for record in await self._broker.records(QUEUE)]

    async def close(self) -> None:
        await self._gate.__aexit__(None, None, None)
        self._broker.kill()
