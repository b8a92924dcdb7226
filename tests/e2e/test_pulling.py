"""The programs of docs/pulling.md pull from a real hub with a pull token; they and the hub are killed in the middle.

Nothing may be lost, nothing may be counted against a job, and what was stored twice must bear the same id.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

import hubqueue
from support.hub_process import HubProcess
from support.ports import free_port
from support.shell import Shell
from support.torture import sized
from support.waiting import until

PAGE = (Path(__file__).parents[2] / "docs" / "pulling.md").read_text(encoding="utf-8")
JOBS = sized(ci=1500, full=30_000)
LONG_S = sized(ci=120.0, full=2400.0)
STEP = JOBS // 10  # jobs stored between two kills
ADMIN = "an admin's token"

CONFIG = """
data_path: hub.db
tcp: {{tokens: ["{admin}"]}}
queues:
  readings:
    count_lost: false
"""


def block(language: str, mark: str) -> str:
    (text,) = [each for each in re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.M | re.S) if mark in each]
    return str(text)


@contextmanager
def edge(folder: Path) -> Iterator[HubProcess]:
    """The hub at the edge, on ports that stay the same when it is started again."""
    config = folder / "hubqueue.yaml"
    config.write_text(CONFIG.format(admin=ADMIN))
    ports = ("--tcp-port", str(free_port()), "--http-port", str(free_port()))
    with HubProcess(folder, *ports, config=config) as hub:
        yield hub


async def fill(hub: HubProcess) -> list[str]:
    async with hubqueue.Client(hub.url, token=ADMIN) as client:
        jobs = [("reading", {"device": f"d{n % 7}", "value": n}) for n in range(JOBS)]
        return [job.id for job in await client.queue("readings").add_many(jobs)]


def pull_token(hub: HubProcess) -> str:
    shell = Shell(hub.folder, hub.url)
    shell.environ["HUBQUEUE_TOKEN"] = ADMIN
    return shell("token", "add", "cloud", "--pull", "readings").stdout.strip()


class Puller:
    """The program, in a process group of its own, so that nothing of it outlives a kill."""

    def __init__(self, command: list[str], folder: Path, hub: str, token: str) -> None:
        self._command = command
        self._folder = folder
        self._env = {**os.environ, "HUB": hub, "HQ_TOKEN": token}
        self._process: subprocess.Popen[bytes] | None = None

    def keep(self) -> None:
        """Start it, or start it again if it has ended, as a service manager would."""
        if self._process is None or self._process.poll() is not None:
            with (self._folder / "puller.log").open("ab") as log:
                self._process = subprocess.Popen(
                    self._command, cwd=self._folder, env=self._env, stdout=log, stderr=log, start_new_session=True
                )

    def kill(self) -> None:
        if self._process is not None:
            try:
                os.killpg(self._process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            self._process.wait()
            self._process = None


async def pull_through(hub: HubProcess, puller: Puller, stored: Callable[[], int]) -> None:
    """Until all is stored and completed: five kills of the puller, two of the hub, with jobs under way."""

    async def more(target: int) -> None:
        def there() -> bool:
            puller.keep()
            return stored() >= target

        await until(there, LONG_S)

    try:
        for number in range(5):
            await more(STEP * (number + 1))
            if number % 2:
                hub.kill()
                hub.start()
                await more(stored() + 1)
            puller.kill()
        await more(JOBS)
        async with hubqueue.Client(hub.url, token=ADMIN) as client:

            async def done() -> bool:
                puller.keep()
                return (await client.queue("readings").counts()).completed == JOBS

            await until(done, LONG_S)
    finally:
        puller.kill()


async def check_nothing_counted(hub: HubProcess) -> None:
    async with hubqueue.Client(hub.url, token=ADMIN) as client:
        jobs = [view.job async for view in client.queue("readings").jobs()]
    assert {(job.attempts, job.stall_count, job.lost_count) for job in jobs} == {(0, 0, 0)}


@pytest.mark.slow
@pytest.mark.timeout(5 * LONG_S)
async def test_a_puller_in_python_and_its_hub_are_killed_and_nothing_is_lost(tmp_path: Path) -> None:
    program = tmp_path / "pull.py"
    program.write_text(block("python", "take(").replace("take(500", "take(50"))

    def rows() -> list[Any]:
        try:
            with closing(sqlite3.connect(tmp_path / "central.db", timeout=30)) as table:
                return table.execute("SELECT job, value FROM reading ORDER BY value").fetchall()
        except sqlite3.OperationalError:  # the program has not made it yet
            return []

    with edge(tmp_path) as hub:
        ids = await fill(hub)
        token = await asyncio.to_thread(pull_token, hub)
        puller = Puller([sys.executable, str(program)], tmp_path, hub.url, token)
        await pull_through(hub, puller, lambda: len(rows()))
        assert rows() == [(id, float(n)) for n, id in enumerate(ids)]
        await check_nothing_counted(hub)


@pytest.mark.slow
@pytest.mark.timeout(5 * LONG_S)
async def test_a_puller_with_curl_and_its_hub_are_killed_and_nothing_is_lost(tmp_path: Path) -> None:
    script = tmp_path / "pull.sh"
    text = block("bash", "curl")
    script.write_text(text.replace('"count": 500', '"count": 50').replace("300000", "5000"))  # 5 s: leases end soon

    def stored() -> dict[str, int]:
        lines = [line for file in (tmp_path / "incoming").glob("*.jsonl") for line in file.read_text().splitlines()]
        return {job["id"]: job["data"]["value"] for job in map(json.loads, lines)}

    with edge(tmp_path) as hub:
        ids = await fill(hub)
        token = await asyncio.to_thread(pull_token, hub)
        puller = Puller(["bash", str(script)], tmp_path, f"http://127.0.0.1:{hub.http_port}", token)
        await pull_through(hub, puller, lambda: len(stored()))
        assert stored() == {id: n for n, id in enumerate(ids)}
        await check_nothing_counted(hub)
