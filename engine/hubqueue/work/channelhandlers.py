"""Runs the functions that hear channels, in the handler process: each one message after the other, in their order.

What a function raises is logged and harms nothing. Messages are kept nowhere: one that comes while the link is down, or
while a thousand wait for a slow function, is gone.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from hubqueue.errors import HubqueueError
from hubqueue.model import payload
from hubqueue.model.channel import ChannelMessage
from hubqueue.model.verbs import Verbs
from hubqueue.work.listener import AnyListener, Message

MAX_WAITING: Final = 1000  # messages that a function has not taken yet; the oldest are dropped beyond
AGAIN_S: Final = 1.0  # between attempts to reach the hub at the start

log = logging.getLogger(__name__)


class ChannelHandler:
    """One function and the messages that wait for it."""

    def __init__(self, verbs: Verbs, listener: AnyListener) -> None:
        self._verbs = verbs
        self._listener = listener
        self._waiting: deque[ChannelMessage] = deque()
        self._dropped = 0
        self._ready = asyncio.Event()
        self._stopping = False
        self._stop: Callable[[], Any] | None = None

    async def run(self) -> None:
        """Hear until `stop`; a message that is being dealt with is dealt with to its end."""
        while self._stop is None and not self._stopping:
            try:
                self._stop = await self._verbs.hear(self._listener.channel, self._hear)
            except HubqueueError as error:
                log.warning("cannot listen channel=%s code=%s", self._listener.channel, error.code)
                await asyncio.sleep(AGAIN_S)
        while not self._stopping:
            if not self._waiting:
                self._ready.clear()
                await self._ready.wait()
                continue
            await self._call(self._waiting.popleft())

    def stop(self) -> None:
        """Hear no more."""
        self._stopping = True
        self._ready.set()
        if self._stop is not None:
            self._stop()

    def _hear(self, message: ChannelMessage) -> None:
        if len(self._waiting) >= MAX_WAITING:
            self._waiting.popleft()
            self._dropped += 1
            if self._dropped == 1:
                log.warning("%s is too slow: messages are dropped channel=%s", self._listener.name, message.channel)
        self._waiting.append(message)
        self._ready.set()

    async def _call(self, said: ChannelMessage) -> None:
        listener = self._listener
        try:
            at = datetime.fromtimestamp(said.at_ms / 1000, UTC)
            message = Message(said.channel, payload.decode(said.data), at)
            if listener.is_async:
                await listener(message)
            else:
                await asyncio.to_thread(listener, message)
        except (Exception, SystemExit, KeyboardInterrupt):  # user code: the next message may find it better
            log.exception("%s failed channel=%s", listener.name, said.channel)
        if not self._waiting and self._dropped:
            log.warning("%s has caught up channel=%s dropped=%d", listener.name, said.channel, self._dropped)
            self._dropped = 0


class ChannelHandlers:
    """All of them, from `start` to `stop`."""

    def __init__(self, verbs: Verbs, listeners: Sequence[AnyListener]) -> None:
        self._hearings = [ChannelHandler(verbs, listener) for listener in listeners]
        self._runs: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Begin to listen."""
        self._runs = {asyncio.create_task(hearing.run(), name="channel") for hearing in self._hearings}

    async def stop(self, grace_s: float) -> None:
        """Hear no more; what is being dealt with may come to its end within the grace."""
        for hearing in self._hearings:
            hearing.stop()
        if self._runs:
            _, late = await asyncio.wait(self._runs, timeout=grace_s)
            for run in late:
                run.cancel()
