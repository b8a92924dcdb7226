"""An event loop whose time passes only when nothing is left to do, with a network and threads of its own.

Nothing in it asks the machine for anything: what happens, and when, hangs on the seed alone. What is to run in a thread
runs on the loop, at once, and has its answer a moment later.
"""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

from simulation.network import Network
from simulation.process import PROCESS

SECOND_NS = 1_000_000_000
THREAD_S = 0.003  # at most, until what runs in a thread is done


def _nothing() -> None:
    pass


class Stuck(Exception):
    """Nothing will ever happen again."""


def _within(context: Any) -> tuple[Any, ...]:
    """What stands before a callback, so that the process of this context makes it as a step, or is gone."""
    process = PROCESS.get() if context is None else context.get(PROCESS)
    return () if process is None else (process.step,)


class SimulatedLoop(asyncio.BaseEventLoop):
    """Made by the seed it is given: `asyncio.Runner(loop_factory=...)`."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self.now_ns = SECOND_NS
        self.chance = chance
        self.network = Network(self, chance)
        self._selector = self  # what BaseEventLoop waits with
        self._clock_resolution = 1e-9

    # time

    def time(self) -> float:
        return self.now_ns / SECOND_NS

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise Stuck
        self.now_ns += math.ceil(timeout * SECOND_NS)
        return []

    def _process_events(self, event_list: list[Any]) -> None:
        pass

    def _write_to_self(self) -> None:
        pass

    # processes: what one asks for happens in it, or not at all

    def call_soon(self, callback: Any, *args: Any, context: Any = None) -> asyncio.Handle:
        return super().call_soon(*_within(context), callback, *args, context=context)

    def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> asyncio.TimerHandle:
        return super().call_at(when, *_within(context), callback, *args, context=context)

    call_soon_threadsafe = call_soon

    # threads

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:
        """The function sees what there is when it is asked for; its answer, and what it has synced, come late."""
        future = self.create_future()
        process = PROCESS.get()
        disk = None if process is None else process.disk

        def answer(result: Any, error: Exception | None, synced: Callable[[], None]) -> None:
            synced()
            if future.cancelled():
                return
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

        def run() -> None:
            result, failed = None, None
            with nullcontext(_nothing) if disk is None else disk.syncing() as synced:
                try:
                    result = func(*args)
                except Exception as error:
                    failed = error
            slow_s = 0.0 if disk is None else disk.slow_s
            self.call_later(self.chance.random() * max(THREAD_S, slow_s), answer, result, failed, synced)

        self.call_soon(run)
        return future

    # network

    async def create_server(self, factory: Any, host: Any = None, port: int = 0, **_: Any) -> Any:
        return self.network.listen(factory, port)

    async def create_connection(self, factory: Any, host: Any = None, port: int = 0, **_: Any) -> Any:
        return await self.network.connect(factory, port)
