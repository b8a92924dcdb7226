"""A process of the simulation: what it runs, has open and is linked to ends at one moment when it is killed.

Everything that runs in it carries it in its context (PROCESS). A process that is gone runs nothing any more: not its
timers, and not its `finally`, for Python keeps what is left of it until the world itself ends (see `campaign`).
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from simulation.disk import Killed, SimulatedDisk

R = TypeVar("R")

PROCESS: Final[contextvars.ContextVar[Process | None]] = contextvars.ContextVar("process", default=None)


class Process:
    """name: for the history. disk: it has one of its own, or none."""

    def __init__(self, name: str, loop: asyncio.AbstractEventLoop, disk: SimulatedDisk | None = None) -> None:
        self.name = name
        self.alive = True
        self.steps = 0  # between two awaits, that it has made
        self.dies_at_step: int | None = None
        self.when_killed: list[Callable[[], None]] = []  # what the machine does then
        self._remains: list[asyncio.Task[Any]] = []  # nobody is to clear it away, and run its code for it
        self._frozen: list[tuple[Callable[..., Any], tuple[Any, ...]]] | None = None
        self.disk = disk
        self._loop = loop
        if disk is not None:
            disk.dies = self.kill

    def start(self, life: Callable[[], Coroutine[Any, Any, R]]) -> asyncio.Task[R]:
        """Begin to live."""
        return self.run(lambda: self._loop.create_task(life(), name=self.name))

    def run(self, function: Callable[..., R], *args: Any) -> R:
        """Call a function of it, whoever asks."""

        def within() -> R:
            PROCESS.set(self)
            return function(*args)

        return contextvars.Context().run(within)

    def step(self, function: Callable[..., Any], *args: Any) -> None:
        """What a loop calls. Nothing if it is dead, or dies by that."""
        if not self.alive:
            return
        if self._frozen is not None:
            self._frozen.append((function, args))
            return
        self.steps += 1
        if self.steps == self.dies_at_step:
            self.kill()
            return
        try:
            function(*args)
        except Killed:
            assert not self.alive

    def freeze(self) -> None:
        """SIGSTOP: its links stay open, and nobody answers."""
        self._frozen = []

    def thaw(self) -> None:
        """SIGCONT: all that came meanwhile comes now."""
        missed, self._frozen = self._frozen or [], None
        for function, args in missed:
            self.run(self._loop.call_soon, function, *args)

    def kill(self) -> None:
        """kill -9: nothing of it runs any more. Raises nothing; who is in the middle of its code raises Killed."""
        if self.alive:
            self.alive = False
            tasks = asyncio.all_tasks(self._loop)
            self._remains = [task for task in tasks if task.get_context().get(PROCESS) is self]
            for told in self.when_killed:
                told()
