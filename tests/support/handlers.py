"""A hub with its TCP door and the handlers of a folder: everything real, the child process too."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any

from hubqueue.client.local import LocalHub
from hubqueue.model import payload
from hubqueue.model.job import Job, NewJob
from hubqueue.servers.settings import TcpSettings
from hubqueue.servers.tcp import TcpServer
from hubqueue.work.parent import HandlerParent
from hubqueue.work.settings import HandlerSettings
from support.context import context_of
from support.waiting import in_time, until

TOKEN = "handlers-only"


class Stand:
    """What a test does with it: write files, push jobs, wait for their ends."""

    def __init__(self, hub: LocalHub, parent: HandlerParent, folder: Path) -> None:
        self.hub = hub
        self.parent = parent
        self.folder = folder

    @property
    def pid(self) -> int:
        pid = self.parent.status.pid
        assert pid is not None, "no handler process runs"
        return pid

    def write(self, text: str, name: str = "tasks.py") -> None:
        """Replace a handler file in one step, as editors do. `flag(name)` in it waits for `raise_flag(name)`."""
        self.folder.mkdir(exist_ok=True)
        other = self.folder / f"{name}.new"
        other.write_text(PREAMBLE.format(flags=str(self.folder.parent.absolute() / "flags")) + dedent(text))
        other.replace(self.folder / name)

    def raise_flag(self, name: str) -> None:
        (self.folder.parent / "flags" / name).touch()

    async def raised(self, name: str) -> None:
        """Wait until a handler has called `say(name)`."""
        await until((self.folder.parent / "flags" / name).exists)

    async def served(self, condition: Callable[[set[str]], bool] = bool) -> None:
        """Wait until the names of the tasks that are served are these."""
        await until(lambda: condition({task.name for task in self.parent.status.tasks}))

    async def push(self, name: str, data: object = None, **options: Any) -> str:
        body = None if data is None else payload.encode(data)
        (id,) = await self.hub.enqueue("default", [NewJob(name=name, data=body, **options)])
        return id

    async def end(self, id: str) -> Job:
        async with in_time():
            while (job := await self.hub.wait(id, 30_000)) is None:
                pass
        return job

    async def result(self, id: str) -> Any:
        job = await self.end(id)
        assert job.history.error is None, job.history
        return payload.decode(job.result)


PREAMBLE = """
import asyncio, os, pathlib, time
from hubqueue import Reject, Release, Retry, channel, task
_flags = pathlib.Path({flags!r})
def say(name): (_flags / name).touch()
def wait(name):
    while not (_flags / name).exists(): time.sleep(0.01)
async def flag(name):
    while not (_flags / name).exists(): await asyncio.sleep(0.01)
"""


@asynccontextmanager
async def stand(path: Path, tasks: str | None = None, **options: Any) -> AsyncIterator[Stand]:
    """A stand whose folder holds these tasks, served already if there are any."""
    (path / "flags").mkdir()
    async with await LocalHub.open(path / "jobs.db") as hub:
        server = TcpServer(context_of(hub, (TOKEN,)), TcpSettings(host="127.0.0.1", port=0))
        await server.start()
        settings: dict[str, Any] = {
            "token": TOKEN,
            "look_s": 0.05,
            "grace_s": 20.0,
            "environment": os.environ,
            **options,
        }
        url = f"tcp://127.0.0.1:{server.port}"
        parent = HandlerParent(hub, HandlerSettings(folder=path / "handlers", url=url, **settings))
        it = Stand(hub, parent, path / "handlers")
        if tasks is not None:
            it.write(tasks)
        await parent.start()
        try:
            if tasks is not None:
                await it.served()
            yield it
        finally:
            await parent.close()
            await server.close()
