"""A real HTTP server in a process of its own as a place: single jobs, and batches."""

from __future__ import annotations

import asyncio
import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from hubqueue.model.job import NewJob
from support.child import environment
from support.ports import free_port
from support.waiting import in_time

TOKEN = "let-me-in"


class HttpPlace:
    """`HttpPlace(folder)`. It knows jobs by their key, so what is sent again is there once."""

    knows = True
    ordered = True

    def __init__(self, folder: Path, *, batch: bool = False) -> None:
        self.port = free_port()
        self.public_port = self.port
        self._batch = batch
        folder.mkdir(parents=True)
        self._file = folder / "jobs"
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "support.http_receiver", str(self.port), str(self._file), TOKEN),
            env=environment(),
            stdout=asyncio.subprocess.PIPE,
        )
        assert self._process.stdout is not None
        async with in_time():
            assert await self._process.stdout.readline() == b"ready\n"

    async def kill(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            await process.wait()

    def way(self, *, stranger: bool = False) -> dict[str, Any]:
        section: dict[str, Any] = {"token": "wrong" if stranger else TOKEN}
        if self._batch:
            section |= {"batch": True, "body": "envelope", "gzip": True}
        return {"to": f"http://127.0.0.1:{self.public_port}/jobs", "http": section}

    def poison(self) -> NewJob:
        return NewJob(data=msgspec.msgpack.encode({"odd": True}))

    async def arrived(self) -> list[int]:
        return [json.loads(line)["n"] for line in self._file.read_text(encoding="utf-8").splitlines()]

    async def close(self) -> None:
        await self.kill()


in_batches = partial(HttpPlace, batch=True)
