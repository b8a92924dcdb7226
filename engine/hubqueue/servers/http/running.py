"""The requests under way at one port. When it closes, those that wait for something to happen are sent away at once,
with an answer; the others may end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from hubqueue.servers.http.session import HttpSession


class Running:
    """All of them, by their sessions."""

    def __init__(self) -> None:
        self._sessions: set[HttpSession] = set()
        self._closing = False
        self._idle = asyncio.Event()
        self._idle.set()

    def __len__(self) -> int:
        return len(self._sessions)

    @contextmanager
    def one(self, session: HttpSession) -> Iterator[None]:
        """Of this session, as long as the block runs."""
        self._sessions.add(session)
        self._idle.clear()
        if self._closing:
            session.send_away()
        try:
            yield
        finally:
            self._sessions.discard(session)
            if not self._sessions:
                self._idle.set()

    def close(self) -> None:
        """Nobody waits for anything to happen any more."""
        self._closing = True
        for session in tuple(self._sessions):
            session.send_away()

    async def ended(self, until_s: float) -> bool:
        """Wait for the end of all; whether they ended in time. Units: loop time."""
        try:
            async with asyncio.timeout_at(until_s):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True
