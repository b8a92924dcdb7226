"""Tests wait for what happens, never for a time. The one deadline only says that something hangs, on any machine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Any, Final, TypeVar

PATIENCE_S: Final = 60.0  # nothing that works takes so long, even beside much other work
LEAST_S: Final = 0.01  # between two looks, as long as it has just begun
MOST_S: Final = 0.05

T = TypeVar("T")


def in_time() -> asyncio.Timeout:
    """`async with in_time():`: the block ends, or it hangs. Errors: TimeoutError."""
    return asyncio.timeout(PATIENCE_S)


async def soon(awaitable: Awaitable[T]) -> T:
    """What it gives, or it hangs. Errors: TimeoutError."""
    return await asyncio.wait_for(awaitable, PATIENCE_S)


async def until(condition: Callable[[], Any], timeout_s: float = PATIENCE_S) -> None:
    """Return once the condition, plain or async, holds. Errors: TimeoutError."""
    loop = asyncio.get_running_loop()  # its time: in a simulation nothing hangs on the machine's
    began = loop.time()
    async with asyncio.timeout(timeout_s):
        while True:
            held = condition()
            if isawaitable(held):
                held = await held
            if held:
                return
            await asyncio.sleep(_pause_s(loop.time() - began))


async def at_once(condition: Callable[[], Any]) -> None:
    """Return in the turn of the loop in which it comes to hold: what follows is in the middle of something.

    Errors: TimeoutError.
    """
    async with in_time():
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0)


def until_true(condition: Callable[[], T], told: Callable[[], object] = str, timeout_s: float = PATIENCE_S) -> T:
    """What the condition gives once it is true, where there is no loop. told: what to say of it if it hangs."""
    began = time.monotonic()
    while not (held := condition()):
        assert time.monotonic() < began + timeout_s, f"it did not happen within {timeout_s:g} s {told()}"
        time.sleep(_pause_s(time.monotonic() - began))
    return held


def _pause_s(waited_s: float) -> float:
    """The longer it takes, the rarer it is looked: a look may cost the machine a connection, or a file read whole."""
    return min(MOST_S, max(LEAST_S, waited_s / 20))
