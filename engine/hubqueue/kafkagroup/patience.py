"""Work that may take as long as it likes, while its member stays in the group.

Rule: whoever waits for a sink, a topic of dead letters or a look-up waits here. The partitions are held meanwhile and
the member goes on polling, so that neither the brokers nor the others in the group hear anything of the outage. What
is in the way is named as what it is.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

from hubqueue.model.backoff import ExponentialBackoff
from hubqueue.sources.consumer import Consumer
from hubqueue.sources.partition import OutOfRange

log = logging.getLogger(__name__)

READ_S: Final = 0.5
QUICK_S: Final = 1.0  # what takes no longer is waited for without holding anything
GRACE_S: Final = 5.0  # for what is in work when partitions are taken; the group waits for 30 s at least
FIRST_RETRY_S, MAX_RETRY_S = 0.5, 30.0


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why work could not be done now, in words for people. retry_after_s: asked for by the other side."""

    what: str
    retry_after_s: float | None = None


Attempt = Callable[[], Coroutine[Any, Any, Trouble | None]]


class Patience:
    """For one membership. polled: is called and awaited after every poll of a wait, and may end it by an error."""

    def __init__(self, consumer: Consumer, polled: Callable[[], Awaitable[None]]) -> None:
        self._consumer: Final = consumer
        self._polled: Final = polled
        self._backoff: Final = ExponentialBackoff(FIRST_RETRY_S, MAX_RETRY_S)
        self._working: asyncio.Task[Trouble | None] | None = None
        self._holding = False
        self._let_go = False

    async def through(self, attempt: Attempt) -> None:
        """Attempt it until there is no trouble. Errors: those of the attempt and of polling."""
        before: str | None = None
        self._let_go = False
        while (trouble := await self._meanwhile(attempt())) is not None:
            if trouble.what != before:
                log.warning("waiting, partitions are paused: %s", trouble.what)
            before = trouble.what
            await self._meanwhile(_sleep(max(self._backoff.next_s(), trouble.retry_after_s or 0)))
        if before is None:
            self._backoff.reset()
        elif not self._let_go:
            log.info("going on after: %s", before)
        if self._holding:
            self._holding = False
            self._consumer.release()

    async def let_go(self) -> None:
        """End what is in work: soon by itself, or else broken off."""
        self._let_go = True
        task = self._working
        if task is not None and not task.done():
            await asyncio.wait({task}, timeout=GRACE_S)
            task.cancel()
            await asyncio.wait({task})

    async def _meanwhile(self, work: Coroutine[Any, Any, Trouble | None]) -> Trouble | None:
        """What comes of it; None too when it was broken off."""
        task = self._working = asyncio.create_task(work)
        try:
            await asyncio.wait({task}, timeout=0 if self._holding else QUICK_S)
            while not task.done():
                if not self._holding:
                    self._holding = True
                    self._consumer.hold()
                try:
                    await self._consumer.read(wait_s=READ_S, most=1)
                except OutOfRange:
                    pass  # told again when it is to be read
                await self._polled()
            return None if task.cancelled() else task.result()
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait({task})
            self._working = None


async def _sleep(seconds: float) -> None:
    await asyncio.sleep(seconds)
