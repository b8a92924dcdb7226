"""Another hub as a place: a real `hubqueue run` with a token."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from hubqueue.client.address import LinkSettings
from hubqueue.model.job import NewJob
from support import central
from support.hub_process import HubProcess
from support.places.place import QUEUE
from support.ports import free_port

TOKEN = "let-me-in"


class HubPlace:
    """`HubPlace(folder)`."""

    knows = True
    ordered = True

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.public_port = self.port
        folder.mkdir(parents=True)
        self._hub = HubProcess(folder, "--tcp-port", str(self.port), "--auth-tokens", TOKEN)
        self._runs = False
        self._came: list[int] = []

    async def start(self) -> None:
        self._hub.start()
        self._runs = True

    async def kill(self) -> None:
        self._hub.kill()
        self._runs = False

    def way(self, *, stranger: bool = False) -> dict[str, Any]:
        return {"to": f"tcp://127.0.0.1:{self.public_port}", "token": "wrong" if stranger else TOKEN}

    def poison(self) -> NewJob:
        return NewJob(name="x" * 257)

    async def arrived(self) -> list[int]:
        jobs = await central.hand_out(LinkSettings("127.0.0.1", self.port, TOKEN), QUEUE, 100_000)
        self._came += [msgspec.msgpack.decode(job.data)["n"] for job in jobs]
        return self._came

    async def close(self) -> None:
        if self._runs:
            await self.kill()
