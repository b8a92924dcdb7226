"""All that simulated processes can see, made by one number: their loop (time, network, threads), system and disks."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from hubqueue.system import System
from simulation.disk import SimulatedDisk
from simulation.loop import SECOND_NS, SimulatedLoop
from simulation.network import Network
from simulation.process import Process

R = TypeVar("R")

BOOT_NS = 1_790_000_000 * SECOND_NS  # Unix time when the loop's begins


class World:
    """One seed, one history. wrong_s: by how much the wall clock is wrong at the moment.

    chance: for what happens to the processes. Processes get numbers of their own.
    """

    def __init__(self, seed: int) -> None:
        self.wrong_s = 0
        self._chance = random.Random(seed)
        self.loop = SimulatedLoop(random.Random(seed + 1))
        self.chance = random.Random(seed + 2)
        self.disk = SimulatedDisk(self.loop.time)
        self.history: list[str] = []
        self._processes: list[Process] = []
        self.system = System(
            wall_ns=lambda: BOOT_NS + self.loop.now_ns + self.wrong_s * SECOND_NS,
            mono_ns=lambda: self.loop.now_ns,
            chance=self._chance.random,
            token_bytes=self._chance.randbytes,
        )

    @property
    def network(self) -> Network:
        return self.loop.network

    @property
    def steps(self) -> int:
        """How many its processes have made, between two awaits each."""
        return sum(process.steps for process in self._processes)

    def note(self, what: str) -> None:
        """A line of the history."""
        self.history.append(f"{self.loop.time():10.4f}  {what}")

    def process(self, name: str, folder: Path | None = None) -> Process:
        """A new one. folder: its files; it has none without."""
        disk = None if folder is None else SimulatedDisk(self.loop.time)
        process = Process(name, self.loop, disk)
        self._processes.append(process)
        return process

    def run(self, life: Coroutine[Any, Any, R]) -> R:
        """To its end, in no time."""
        with asyncio.Runner(loop_factory=lambda: self.loop) as runner:
            return runner.run(life)
