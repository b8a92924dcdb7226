"""Tests wait for what happens, never for a time. The one deadline only says that something hangs, on any machine."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from inspect import isawaitable
from typing import Any, Final, TypeVar

PATIENCE_S: Final = 60.0  # nothing that works takes so long, even beside much other work

T = TypeVar("T")


def in_time() -> asyncio.Timeout:
    """`async with in_time():`: the block ends, or it hangs. Errors: TimeoutError."""
    return asyncio.timeout(PATIENCE_S)


async def soon(awaitable: Awaitable[T]) -> T:
    """What it gives, or it hangs. Errors: TimeoutError."""
    return await asyncio.wait_for(awaitable, PATIENCE_S)


async def until(condition: Callable[[], Any], timeout_s: float = PATIENCE_S) -> None:
    """Return once the condition, plain or async, holds. Errors: TimeoutError."""
    async with asyncio.timeout(timeout_s):
        while True:
            held = condition()
            if isawaitable(held):
                held = await held
            if held:
                return
            await asyncio.sleep(0.01)


def until_true(condition: Callable[[], T], told: Callable[[], object] = str, timeout_s: float = PATIENCE_S) -> T:
    """What the condition gives once it is true, where there is no loop. told: what to say of it if it hangs."""
    deadline = time.monotonic() + timeout_s
    while not (held := condition()):
        assert time.monotonic() < deadline, f"it did not happen within {timeout_s:g} s {told()}"
        time.sleep(0.02)
    return held
