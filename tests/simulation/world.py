"""All that a simulated process can see, made by one number: its loop (time, network, threads), its system, its disk."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar

from hubqueue.store.disk import Disk
from hubqueue.system import System
from simulation.loop import SECOND_NS, SimulatedLoop
from simulation.network import Network

R = TypeVar("R")

BOOT_NS = 1_790_000_000 * SECOND_NS  # Unix time when the loop's begins


class World:
    """One seed, one history. wrong_s: by how much the wall clock is wrong at the moment."""

    def __init__(self, seed: int) -> None:
        self.wrong_s = 0
        self._chance = random.Random(seed)
        self.loop = SimulatedLoop(random.Random(seed + 1))
        self.disk = SimulatedDisk(self.loop)
        self.system = System(
            wall_ns=lambda: BOOT_NS + self.loop.now_ns + self.wrong_s * SECOND_NS,
            mono_ns=lambda: self.loop.now_ns,
            chance=self._chance.random,
            token_bytes=self._chance.randbytes,
        )

    @property
    def network(self) -> Network:
        return self.loop.network

    def run(self, life: Coroutine[Any, Any, R]) -> R:
        """To its end, in no time."""
        with asyncio.Runner(loop_factory=lambda: self.loop) as runner:
            return runner.run(life)


class SimulatedDisk(Disk):
    """A real folder on a machine that is always the same one. trace: when what was synced, by its size."""

    def __init__(self, loop: SimulatedLoop) -> None:
        self.trace: list[tuple[float, int]] = []
        self._loop = loop

    def fdatasync(self, fd: int) -> None:
        self.trace.append((self._loop.time(), self.fstat(fd).st_size))

    def fsync(self, fd: int) -> None:
        pass

    def read_text(self, path: Path) -> str:
        return f"what {path} says of this machine"

    def free_bytes(self, folder: Path) -> int:
        return 1 << 40
