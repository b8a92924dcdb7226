"""Takes jobs of one queue and runs them, at most so many at a time: what triggers and workers are made of."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final

from homeassistant.core import callback

from .connection import ANSWER_S
from .const import LOGGER
from .errors import HubError
from .outcome import Outcome, Release
from .runs import AGAIN_S, LEASE_S, Leased, Run, Runs

POLL_S: Final = 30.0  # one long-poll; the next one follows
NOT_OURS_S: Final = 1.0
REFUSED_S: Final = 30.0  # after a refusal that lasts: a token without the scope, a queue it is not for
OWNER: Final = "home-assistant"


class Consumer:
    """From `start` to `close`, whenever the link is up.

    names: only jobs of these names (* and ? stand for others); the rest goes to the consumer that it is for, or back.
    group: how jobs of groups are handed out (docs/protocol.md, Groups).
    """

    def __init__(
        self,
        runs: Runs,
        queue: str,
        run: Run,
        *,
        names: Sequence[str] = (),
        concurrency: int = 1,
        group: Mapping[str, Any] | None = None,
    ) -> None:
        self.queue = queue
        self._runs = runs
        self._run = run
        self._names = tuple(names)
        self._concurrency = concurrency
        self._group = {} if group is None else {"group": dict(group)}
        self._running = 0
        self._told = False
        self._room = asyncio.Event()
        self._taker: asyncio.Task[None] | None = None
        self._poll: asyncio.Task[Leased | None] | None = None

    @callback
    def start(self) -> None:
        """Begin to take jobs."""
        self._room.set()
        self._runs.consumers.add(self)
        self._taker = self._runs.spawn(self._take(), f"take {self.queue}")

    @callback
    def close(self) -> None:
        """Take no more jobs; those that run go on to their end."""
        self._runs.consumers.discard(self)
        taker, self._taker = self._taker, None
        if taker is not None:
            taker.cancel()
        if self._poll is not None and not self._poll.cancel() and (leased := _result(self._poll)) is not None:
            self._runs.begin(leased, _not_ours)  # it came in this very moment

    def adopt(self, leased: Leased) -> bool:
        """Run a job that another consumer was given; False: not now."""
        if self._taker is None or self._running >= self._concurrency or not self._wants(leased):
            return False
        self._begin(leased, self._run)
        if not self._room.is_set() and self._poll is not None:
            self._poll.cancel()
        return True

    def _wants(self, leased: Leased) -> bool:
        return not self._names or any(fnmatchcase(leased.name, each) for each in self._names)

    async def _take(self) -> None:
        while True:
            await self._room.wait()
            await self._runs.client.up()
            poll = self._poll = self._runs.spawn(self._lease(), f"poll {self.queue}")
            await asyncio.wait([poll])
            self._poll = None
            if (leased := _result(poll)) is not None:
                self._hand_out(leased)
            elif not poll.cancelled():
                await self._refused(poll.exception())

    async def _refused(self, error: BaseException | None) -> None:
        """Wait before asking again, and say once what only a person can change."""
        if error is None:
            self._told = False
        elif isinstance(error, HubError) and error.retryable:
            await asyncio.sleep(AGAIN_S)
        else:
            if not self._told:
                LOGGER.warning("no jobs can be taken, it is tried again queue=%s error=%r", self.queue, error)
            self._told = True
            await asyncio.sleep(REFUSED_S)

    async def _lease(self) -> Leased | None:
        reply = await self._runs.client.call(
            "PULL",
            POLL_S + ANSWER_S,
            queue=self.queue,
            owner=OWNER,
            timeout=POLL_S * 1000,
            lockTtl=LEASE_S * 1000,
            **self._group,
        )
        return None if reply["job"] is None else Leased(reply["job"], reply["token"])

    @callback
    def _hand_out(self, leased: Leased) -> None:
        if self._wants(leased) and self._room.is_set():
            self._begin(leased, self._run)
        elif not any(other.queue == self.queue and other.adopt(leased) for other in list(self._runs.consumers)):
            self._runs.begin(leased, _not_ours)

    @callback
    def _begin(self, leased: Leased, run: Run) -> None:
        self._running += 1
        self._look()
        self._runs.begin(leased, run).add_done_callback(self._ended)

    @callback
    def _ended(self, _: object) -> None:
        self._running -= 1
        self._look()

    def _look(self) -> None:
        if self._running < self._concurrency:
            self._room.set()
        else:
            self._room.clear()


def _result(poll: asyncio.Task[Leased | None]) -> Leased | None:
    return None if poll.cancelled() or poll.exception() is not None else poll.result()


async def _not_ours(_: Leased) -> Outcome:
    return Release(NOT_OURS_S, growing=True)
