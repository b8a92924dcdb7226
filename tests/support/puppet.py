"""A process with one hub that does what it is told, a line at a time: `python -m support.puppet FILE SETTINGS`.

Each line in is [word, arguments...]; each line out is {"ok": answer} or {"error": code, "hint": hint}. The first line
out answers the opening. Words: see `Puppet`.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import msgspec

from hubqueue.client.local import LocalHub
from hubqueue.errors import HubqueueError
from hubqueue.hub.settings import HubSettings
from hubqueue.model.job import NewJob
from hubqueue.model.outcome import Complete, Reject, Release, Settlement
from hubqueue.model.state import State
from support.load import number_of
from support.mixed import miscounted, tell
from support.steps import Steps

QUEUE = "q"


class Puppet:
    """What the process can be told. Jobs are known by the number in their data."""

    def __init__(self, hub: LocalHub, before_bytes: int) -> None:
        self._hub = hub
        self._before_bytes = before_bytes

    async def enqueue(self, ns: list[int], durable: bool, size: int, delay_ms: int = 0) -> list[str]:
        """Jobs with these numbers and data of that size."""
        pad = "x" * size
        jobs = [NewJob(data=msgspec.msgpack.encode({"n": n, "pad": pad}), delay_ms=delay_ms) for n in ns]
        return await self._hub.enqueue(QUEUE, jobs, durable=durable)

    async def lease(self, count: int, lease_ms: int) -> list[tuple[int, str, str]]:
        leased = await self._hub.lease(QUEUE, count, owner="puppet", lease_ms=lease_ms)
        return [(number_of(each.job.data), each.job.id, each.token) for each in leased]

    async def complete(self, leases: list[tuple[int, str, str]], durable: bool) -> None:
        await self._hub.settle([Settlement(id, token, Complete()) for _, id, token in leases], durable=durable)

    async def release(self, leases: list[tuple[int, str, str]]) -> None:
        await self._hub.settle([Settlement(id, token, Release()) for _, id, token in leases])

    async def extend(self, leases: list[tuple[int, str, str]]) -> list[str]:
        return [each.value for each in await self._hub.extend([(id, token) for _, id, token in leases])]

    async def numbers(self) -> dict[str, list[int]]:
        """The numbers of all jobs by state."""
        found: dict[str, list[int]] = {}
        cursor = None
        while True:
            page = await self._hub.list_jobs(QUEUE, limit=1000, cursor=cursor)
            for job in page.jobs:
                found.setdefault(job.state.name.lower(), []).append(number_of(job.data))
            if page.cursor is None:
                return found
            cursor = page.cursor

    async def bulk(self, deed: str) -> int:
        """A verb for the whole queue: what it says of how many jobs; of obliterate how many there were."""
        there = await self._hub.counts(QUEUE)
        match deed:
            case "drain":
                return await self._hub.drain(QUEUE)
            case "clean":
                return len(await self._hub.clean(QUEUE, 0, 1_000_000, State.WAITING))
            case "discard":
                done = 0
                while leased := await self._hub.lease(QUEUE, 100, owner="puppet"):
                    await self._hub.settle([Settlement(each.job.id, each.token, Reject("no")) for each in leased])
                    done += len(leased)
                return done
            case "purge":
                return await self._hub.purge(QUEUE)
            case "retry":
                return (await self._hub.retry_dead(QUEUE)).again
            case "obliterate":
                await self._hub.obliterate(QUEUE)
                return there.waiting
        raise AssertionError(deed)

    async def full(self) -> bool:
        """Whether new jobs are refused for want of disk, when all that can be given back has been."""
        await self._hub.maintenance.make_room()
        return self._hub.disk_full

    async def miscounted(self) -> list[str]:
        return await self._hub.run(miscounted)

    async def clocks_ms(self) -> tuple[int, int]:
        """(hub time, system time)."""
        return self._hub.now_ms(), time.time_ns() // 1_000_000

    async def steps(self, count: int) -> int:
        """How many steps SQLite makes for so many single enqueues, one after the other."""
        with Steps(self._hub) as steps:
            for n in range(count):
                await self.enqueue([-n], False, 100)
        return steps.total

    async def read_bytes(self) -> int:
        """What has been read from files since the hub was begun to be opened."""
        return read_bytes() - self._before_bytes

    async def memory_bytes(self) -> tuple[int, int]:
        """Resident memory: now, and at its highest."""
        return resident_bytes("VmRSS"), resident_bytes("VmHWM")

    async def close(self) -> None:
        await self._hub.close()


def resident_bytes(line: str) -> int:
    """A line of the process's status. Its ru_maxrss would be that of the parent it was forked from."""
    status = Path("/proc/self/status").read_text("ascii")
    return int(status.partition(f"{line}:")[2].split()[0]) * 1024


def read_bytes() -> int:
    """What this process has read, from the disk or from what the kernel kept of it."""
    return int(Path("/proc/self/io").read_text("ascii").partition("rchar:")[2].split()[0])


async def main(path: Path, settings: dict[str, Any]) -> None:
    try:
        before_bytes = read_bytes()
        puppet = Puppet(await LocalHub.open(path, HubSettings(**settings)), before_bytes)
    except HubqueueError as error:
        tell({"error": error.code, "message": error.message, "hint": error.hint})
        return
    tell({"ok": None})
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        word, *arguments = json.loads(line)
        try:
            tell({"ok": await getattr(puppet, word)(*arguments)})
        except HubqueueError as error:
            tell({"error": error.code, "message": error.message, "hint": error.hint})


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), json.loads(sys.argv[2])))
