"""A real Mosquitto as a place. What it holds is seen by a subscriber with a session, who comes when it is asked."""

from __future__ import annotations

import json
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from hubqueue.model.job import NewJob
from support.mosquitto import Mosquitto
from support.mqtt import client

LOGIN = ("hub", "s3cret")
MAX_PACKET_BYTES = 4096


class MosquittoPlace:
    """`MosquittoPlace(folder)`. It ends by SIGTERM: killed hard, Mosquitto forgets what it has acknowledged."""

    knows = False
    ordered = True

    def __init__(self, folder: Path) -> None:
        limit = f"max_packet_size {MAX_PACKET_BYTES}"
        self._broker = Mosquitto(folder, login=LOGIN, persistence=True, lines=(limit,))
        self.port = self._broker.port
        self.public_port = self.port
        self._subscribed = False
        self._came: list[int] = []
        self._marks = count()

    async def start(self) -> None:
        await self._broker.start()
        if not self._subscribed:
            async with self._subscriber() as subscriber:
                await subscriber.subscribe("there/#", qos=1)
            self._subscribed = True

    async def kill(self) -> None:
        self._broker.stop()

    def way(self, *, stranger: bool = False) -> dict[str, Any]:
        login = {"username": LOGIN[0], "password": "wrong" if stranger else LOGIN[1]}
        return {
            "to": f"mqtt://127.0.0.1:{self.public_port}",
            "mqtt": {"topic": "there/{{ data.device | default('odd') }}", **login},
        }

    def poison(self) -> NewJob:
        return NewJob(data=msgspec.msgpack.encode({"pad": "x" * MAX_PACKET_BYTES}))

    async def arrived(self) -> list[int]:
        mark = f"there/mark/{next(self._marks)}"  # what it is sent comes in order, so this comes last
        async with self._subscriber() as subscriber:
            await subscriber.publish(mark, b"null", qos=1)
            async for message in subscriber.messages:
                if message.topic.value == mark:
                    break
                self._came.append(json.loads(message.payload)["n"])
        return self._came

    async def close(self) -> None:
        self._broker.kill()

    def _subscriber(self) -> Any:
        forever = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        forever.SessionExpiryInterval = 2**32 - 1
        return client(
            self.port, "collector", username=LOGIN[0], password=LOGIN[1], clean_start=False, properties=forever
        )
