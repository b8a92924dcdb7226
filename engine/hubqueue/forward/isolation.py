"""Who may send: many lanes side by side, or one alone while nobody else does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager


class Isolation:
    """A gate for the lanes of one forwarder."""

    def __init__(self) -> None:
        self._gate = asyncio.Lock()
        self._count = 0
        self._nobody = asyncio.Event()
        self._nobody.set()

    @asynccontextmanager
    async def together(self) -> AsyncIterator[None]:
        """Send beside others."""
        async with self._gate:
            self._count += 1
            self._nobody.clear()
        try:
            yield
        finally:
            self._count -= 1
            if not self._count:
                self._nobody.set()

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Send when all others are through; they wait meanwhile."""
        async with self._gate:
            await self._nobody.wait()
            yield
