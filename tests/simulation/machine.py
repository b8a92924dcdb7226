"""A machine with one process at a time, which is killed, loses its power, is stopped, and starts again on its files."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

from simulation.process import Process
from simulation.world import World

Life = Callable[["Machine"], Coroutine[Any, Any, None]]


class Machine:
    """base: where the folders of its lives are; without one its process has no files. up: whether a process lives."""

    def __init__(self, world: World, name: str, life: Life, base: Path | None = None) -> None:
        self.world = world
        self.name = name
        self.lives = 0  # that have begun, or will next
        self.process: Process
        self._life = life
        self._base = base
        self._task: asyncio.Task[None]
        self._told_to_stop: asyncio.Event
        self._power_cut = False
        self._started = False
        if base is not None:
            self.folder.mkdir(parents=True)

    @property
    def folder(self) -> Path:
        assert self._base is not None
        return self._base / f"{self.name}-{self.lives}"

    @property
    def up(self) -> bool:
        return self._started and self.process.alive and not self._task.done()

    def start(self) -> None:
        """A new process, on what the one before has left."""
        self.world.note(f"{self.name}: starts")
        files = None if self._base is None else self.folder
        self.process = process = self.world.process(self.name, files)
        self._started = True
        process.when_killed.append(self._killed)
        self._told_to_stop = asyncio.Event()
        self._task = process.start(lambda: self._life(self))

    def kill(self) -> None:
        self.process.kill()

    def cut_power(self) -> None:
        """Its process is gone, with what was not synced; the others are not told."""
        self._power_cut = True
        self.process.kill()
        self._power_cut = False

    async def stop(self) -> None:
        """As SIGTERM does."""
        self.world.note(f"{self.name}: is told to stop")
        self._told_to_stop.set()
        await asyncio.wait([self._task])

    async def told_to_stop(self) -> None:
        """For its life to wait for."""
        await self._told_to_stop.wait()

    @property
    def failure(self) -> BaseException | None:
        """Why its life ended by itself, if it did."""
        ended = self._started and self.process.alive and self._task.done() and not self._task.cancelled()
        return self._task.exception() if ended else None

    def _killed(self) -> None:
        self.world.note(f"{self.name}: {'loses its power' if self._power_cut else 'is killed'}")
        self.world.network.without(self.process, silent=self._power_cut)
        disk, folder = self.process.disk, self._base and self.folder
        self.lives += 1
        if disk is not None and folder is not None:
            disk.dead = True
            disk.copy_to(folder, self.folder, self.world.chance if self._power_cut else None)
