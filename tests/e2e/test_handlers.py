"""Handlers of a real `hubqueue run`: what becomes of them and their jobs when the hub is killed or stopped."""

from __future__ import annotations

import signal
from pathlib import Path

import psutil

import hubqueue
from support.hub_process import HubProcess
from support.waiting import until

CONFIG = """
data_path: hub.db
tcp: {port: 0}
handlers: {folder: handlers, grace: 500ms}
"""

LONG = """
import asyncio, os, pathlib
from hubqueue import task

@task("long")
async def long(job):
    pathlib.Path("../pid").write_text(str(os.getpid()))
    if not pathlib.Path("../finish").exists():
        await asyncio.sleep(600)
    return [job.attempts_made, "HUBQUEUE_SECRET" in os.environ]
"""


def folder_with(path: Path, handler: str) -> Path:
    (path / "handlers").mkdir()
    (path / "handlers" / "tasks.py").write_text(handler)
    (path / "hubqueue.yaml").write_text(CONFIG)
    return path / "hubqueue.yaml"


async def running(path: Path) -> int:
    """The handler process, once its handler runs."""
    file = path / "pid"
    await until(lambda: file.exists() and file.read_text() != "")
    pid = int(file.read_text())
    file.unlink()
    return pid


async def test_a_killed_hub_takes_its_handlers_along_and_their_jobs_run_again_at_once(tmp_path: Path) -> None:
    config = folder_with(tmp_path, LONG)
    with HubProcess(tmp_path, config=config) as hub:
        async with hubqueue.Client(hub.url) as client:
            job = await client.queue("default").add("long", attempts=1)
        pid = await running(tmp_path)
        assert hub.kill() == -signal.SIGKILL
        await until(lambda: not psutil.pid_exists(pid))
        (tmp_path / "finish").touch()
        hub.start()
        async with hubqueue.Client(hub.url) as client:  # given back, not lost: that would have been its last attempt
            await until(lambda: ended(client, job.id))
            assert (await client.queue("default").get(job.id)).result == [0, False]


async def test_a_stopped_hub_gives_back_what_does_not_end_in_time(tmp_path: Path) -> None:
    config = folder_with(tmp_path, LONG)
    with HubProcess(tmp_path, config=config, environ={"HUBQUEUE_SECRET": "secret"}) as hub:
        async with hubqueue.Client(hub.url) as client:
            job = await client.queue("default").add("long", attempts=1)
        pid = await running(tmp_path)
        assert hub.stop() == 0
        assert not psutil.pid_exists(pid)
        (tmp_path / "finish").touch()
        hub.start()
        async with hubqueue.Client(hub.url) as client:
            await until(lambda: ended(client, job.id))
            assert (await client.queue("default").get(job.id)).result == [0, False]
        assert hub.stop() == 0
        assert "Traceback" not in hub.log()


async def ended(client: hubqueue.Client, id: str) -> bool:
    return (await client.queue("default").get(id)).state == "completed"
