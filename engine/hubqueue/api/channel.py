"""`hub.channel(name)`: a broadcast that reaches whoever listens at that moment, as Python code uses it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Final

from hubqueue.model import payload
from hubqueue.model.channel import ChannelMessage
from hubqueue.model.verbs import Verbs

MAX_WAITING: Final = 1000  # messages a slow listener has not taken; the oldest are dropped beyond


@dataclass(frozen=True, slots=True)
class Said:
    """What was said on a channel. missed: so many before it were dropped, because the listener was too slow."""

    channel: str
    data: Any
    at_ms: int
    missed: int = 0


class Channel:
    """A channel: `await channel.publish(data)`, `async for said in channel`. Nothing is kept for later."""

    def __init__(self, verbs: Verbs, name: str) -> None:
        self.name = name
        self._verbs = verbs

    def __repr__(self) -> str:
        return f"<channel {self.name}>"

    async def publish(self, data: Any = None) -> int:
        """Tell everybody who listens now; how many listeners the hub has told. Errors: Invalid, PayloadTooLarge."""
        return await self._verbs.publish(self.name, payload.encode(data))

    async def __aiter__(self) -> AsyncIterator[Said]:
        waiting: deque[ChannelMessage] = deque()
        missed = 0
        ready = asyncio.Event()

        def hear(message: ChannelMessage) -> None:
            nonlocal missed
            if len(waiting) >= MAX_WAITING:
                waiting.popleft()
                missed += 1
            waiting.append(message)
            ready.set()

        stop = await self._verbs.hear(self.name, hear)
        try:
            while True:
                await ready.wait()
                ready.clear()
                while waiting:
                    message = waiting.popleft()
                    said = Said(message.channel, payload.decode(message.data), message.at_ms, missed)
                    missed = 0
                    yield said
        finally:
            stop()
