"""Wait for a condition with a deadline: tests never sleep and hope."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable


async def until(condition: Callable[[], bool] | Callable[[], Awaitable[bool]], timeout_s: float = 30.0) -> None:
    """Return once the condition, plain or async, holds. Errors: TimeoutError."""
    async with asyncio.timeout(timeout_s):
        while True:
            held = condition()
            if held if isinstance(held, bool) else await held:
                return
            await asyncio.sleep(0.01)
