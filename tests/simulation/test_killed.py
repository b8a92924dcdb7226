"""P7, P10: a hub that is killed at any operation on its files loses nothing that it said ok to, and opens again.

At its own operations: those that SQLite makes within a statement are one, and what was not synced stays.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from hubqueue.hub.hub import Hub
from hubqueue.model.job import NewJob
from hubqueue.store.disk import Disk
from simulation.world import SimulatedDisk, World

READS: Final = frozenset(["close", "dup", "dup2", "free_bytes", "fstat", "pread", "read_text", "stat"])
CHANGES: Final = frozenset(name for name in vars(Disk) if not name.startswith("_")) - READS


class Killed(SystemExit):
    """Nothing of the process is left; a loop lets this one through."""


class MortalDisk(SimulatedDisk):
    """The process ends before its `last` change of the disk. None: it lives."""

    def __init__(self, world: World, last: int | None) -> None:
        super().__init__(world.loop)
        self.changes = 0
        self._last = last
        self._open: set[int] = set()
        self._connections: list[sqlite3.Connection] = []

    def __getattribute__(self, name: str) -> Any:
        method = super().__getattribute__(name)
        if name in CHANGES:
            self.changes += 1
            if self._last is not None and self.changes >= self._last:
                raise Killed
        return method

    def bury(self, folder: Path, copy: Path) -> None:
        """What the kill leaves is in the copy; what the process had open is given back."""
        shutil.copytree(folder, copy)
        for connection in self._connections:
            connection.close()
        for fd in self._open:
            os.close(fd)

    def open(self, path: Path, flags: int, mode: int = 0o600) -> int:
        return self._opened(super().open(path, flags, mode))

    def temporary(self, folder: Path, prefix: str, suffix: str) -> tuple[int, Path]:
        fd, path = super().temporary(folder, prefix, suffix)
        return self._opened(fd), path

    def dup(self, fd: int) -> int:
        return self._opened(super().dup(fd))

    def close(self, fd: int) -> None:
        self._open.discard(fd)
        super().close(fd)

    def connect(self, database: Path | str, **options: Any) -> sqlite3.Connection:
        self._connections.append(super().connect(database, **options))
        return self._connections[-1]

    def _opened(self, fd: int) -> int:
        self._open.add(fd)
        return fd


async def life(world: World, disk: MortalDisk, path: Path, accepted: Callable[[list[str]], None]) -> None:
    hub = await Hub.open(path, system=world.system, disk=disk)
    for number in range(3):
        accepted(await hub.enqueue("q", [NewJob(data=b"\x01")], durable=number == 1))
    await hub.backup(path.with_name("backup.db"))
    accepted(await hub.enqueue("q", [NewJob(data=b"\x02")]))
    await hub.close()


def reopened(path: Path) -> set[str]:
    """The jobs that another hub finds there; it takes new ones."""
    world = World(2)

    async def found() -> set[str]:
        async with await Hub.open(path, system=world.system, disk=world.disk) as hub:
            new = await hub.enqueue("q", [NewJob()])
            return {job.id for job in (await hub.list_jobs("q")).jobs} - set(new)

    return world.run(found())


def test_a_hub_that_is_killed_at_any_change_of_its_disk_has_all_that_it_accepted(tmp_path: Path) -> None:
    accepted: list[str] = []
    last, lived = 0, False
    while not lived:
        last += 1
        folder, left = tmp_path / f"{last}", tmp_path / f"{last} left"
        folder.mkdir()
        accepted.clear()
        world = World(1)
        disk = MortalDisk(world, last)
        task = world.loop.create_task(life(world, disk, folder / "hub.db", accepted.extend))
        try:
            world.loop.run_until_complete(task)
            lived = True
        except Killed:
            assert not task.done() or isinstance(task.exception(), Killed)
            world.loop.set_exception_handler(lambda loop, context: None)  # tasks end as the process does: anywhere
            disk.bury(folder, left)
            found = reopened(left / "hub.db")
            assert found >= set(accepted), last
            assert len(found) <= len(accepted) + 1  # what was under way may be there, once
            if (left / "backup.db").exists():
                assert reopened(left / "backup.db") >= set(accepted[:3]), last
        world.loop.close()
    assert last > 20
    assert len(accepted) == 4
