"""Messages in, jobs out, while the hub has a hard time: slowed down to a tenth, stopped and killed, again and again.

One way for every source: every message carries a number, and the jobs are counted by it in the file of the hub.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, closing, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

import msgspec

from support.waiting import PATIENCE_S, until

TESTS: Final = Path(__file__).parents[1]
WORK_S, PAUSE_S = 0.005, 0.045  # of a hub on a machine a tenth as fast
ROUNDS: Final = (("slow", "stop"), ("", "kill"), ("slow", "kill"), ("", "stop"))


class Process(Protocol):
    """A hub as a process, on `file`."""

    def start(self) -> Any: ...
    def stop(self) -> int: ...
    def kill(self) -> int: ...

    @property
    def pid(self) -> int: ...


class BridgeProcess:
    """`support.bridge_process`; see there for the words."""

    def __init__(self, file: Path, port: int, *words: str) -> None:
        self._command = [sys.executable, "-m", "support.bridge_process", str(file), str(port), *words]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and return once it is up."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith("HUBQUEUE_")}
        path = os.pathsep.join([str(TESTS), *filter(None, [kept.get("PYTHONPATH")])])
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, env={**kept, "PYTHONPATH": path})
        assert self._process.stdout is not None
        assert self._process.stdout.readline(), "it has ended"

    def stop(self) -> int:
        return self._end(signal.SIGTERM)

    def kill(self) -> int:
        return self._end(signal.SIGKILL)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def _end(self, number: signal.Signals) -> int:
        assert self._process is not None
        self._process.send_signal(number)
        self._process.communicate(timeout=PATIENCE_S)
        return self._process.returncode


@asynccontextmanager
async def slowed(hub: Process) -> AsyncIterator[None]:
    """The hub gets a tenth of the time, in small pieces."""

    async def beat() -> None:
        while True:
            os.kill(pid, signal.SIGSTOP)
            await asyncio.sleep(PAUSE_S)
            os.kill(pid, signal.SIGCONT)
            await asyncio.sleep(WORK_S)

    pid = hub.pid
    beating = asyncio.create_task(beat())
    try:
        yield
    finally:
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def waiting(file: Path, queue: str) -> int:
    """Jobs in a queue, as far as they are committed. Waits as long as a hub that is slowed down holds the file."""
    with closing(sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, timeout=PATIENCE_S)) as db:
        row = db.execute("SELECT waiting FROM counter JOIN queue ON id = queue WHERE name = ?", (queue,)).fetchone()
    return 0 if row is None else int(row[0])


def numbers(file: Path, queue: str) -> Counter[int]:
    """How often each number stands in a queue of a hub that has ended."""
    with closing(sqlite3.connect(file)) as db:
        rows = db.execute("SELECT data FROM job JOIN queue ON queue.id = job.queue WHERE queue.name = ?", (queue,))
        found = [msgspec.msgpack.decode(data) for (data,) in rows]
    return Counter(value["n"] if isinstance(value, dict) else value for value in found)


async def undergo(
    hub: Process, file: Path, queues: Sequence[str], send: Callable[[int, int], Awaitable[None]], each: int
) -> int:
    """Four bursts of `each` messages, sent by send(first, count), through a hub that is running; how many were sent.

    Once some of a burst are jobs in every queue, the hub is stopped or killed, and started again.
    """
    sent = 0

    async def counted() -> dict[str, int]:
        """In a thread: the hub that holds the file may have to be woken by this loop first."""
        return {queue: await asyncio.to_thread(waiting, file, queue) for queue in queues}

    async def further(before: dict[str, int]) -> bool:
        return all(count > before[queue] for queue, count in (await counted()).items())

    async def arrived(count: int) -> bool:
        return all(waiting >= count for waiting in (await counted()).values())

    for pace, end in ROUNDS:
        before = await counted()
        sending = asyncio.ensure_future(send(sent, each))
        if pace == "slow":
            async with slowed(hub):
                await until(partial(further, before))
                await asyncio.to_thread(hub.stop if end == "stop" else hub.kill)
        else:
            await until(partial(further, before))
            await asyncio.to_thread(hub.stop if end == "stop" else hub.kill)
        await asyncio.to_thread(hub.start)
        await sending
        sent += each
        await until(partial(arrived, sent), 600)
    return sent
