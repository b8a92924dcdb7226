"""What a feed has still to tell the hub: a bounded line of jobs, and who sends it.

Usually it is empty within moments; it fills while the hub restarts. Rules: the oldest job goes when it is full, and is
counted; a job leaves only when the hub has it, or will never take it; the order stays.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Final

from .client import HubClient
from .const import LOGGER
from .errors import HubError, LinkDownError
from .feed_rule import Job

MOST_JOBS: Final = 10_000
MOST_BYTES: Final = 8 * 1024 * 1024
LARGEST_JOB: Final = 1024 * 1024  # what is larger is no reading
BATCH_JOBS: Final = 200
BATCH_BYTES: Final = 1024 * 1024
FIRST_S: Final = 1.0
LONGEST_S: Final = 30.0
NEVER: Final = frozenset({"invalid", "payload_too_large"})  # of these errors the job itself is the reason


class Outbox:
    """changed: called whenever a number here is another one."""

    def __init__(self, client: HubClient, queue: str, changed: Callable[[], None]) -> None:
        self.sent = 0
        self.dropped = 0  # pushed out by newer ones
        self.refused = 0  # the hub will never take them
        self.error: str | None = None  # code of the last failure; None since the hub has taken something
        self._client = client
        self._queue = queue
        self._changed = changed
        self._waiting = deque[Job]()
        self._flying: list[Job] = []
        self._bytes = 0
        self._filled = asyncio.Event()
        self._singly = 0  # so many jobs are sent alone: one of them was refused

    @property
    def buffered(self) -> int:
        return len(self._flying) + len(self._waiting)

    @property
    def stuck(self) -> bool:
        """Whether jobs wait because the hub takes none."""
        return bool(self.buffered) and (self.error is not None or not self._client.connected)

    def jobs(self) -> list[dict[str, Any]]:
        """All that the hub may not have yet, oldest first."""
        return [job.fields for job in (*self._flying, *self._waiting)]

    def restore(self, jobs: Iterable[dict[str, Any]]) -> None:
        """What an earlier run of Home Assistant has left."""
        for fields in jobs:
            self.offer(Job.of(fields))

    def forget_dropped(self) -> None:
        """Somebody knows of them."""
        self.dropped = 0
        self._changed()

    def offer(self, job: Job) -> None:
        """Send a job as soon as the hub is there."""
        if job.size > LARGEST_JOB:
            self.refused += 1
            LOGGER.warning("a job is too large to be sent queue=%s bytes=%d", self._queue, job.size)
        else:
            self._waiting.append(job)
            self._bytes += job.size
            while self.buffered > MOST_JOBS or self._bytes > MOST_BYTES:
                self._bytes -= self._waiting.popleft().size
                self.dropped += 1
            self._filled.set()
        self._changed()

    async def run(self) -> None:
        """Send until cancelled."""
        wait_s = FIRST_S
        while True:
            await self._filled.wait()
            await self._client.up()
            if await self._send():
                wait_s = FIRST_S
            else:
                await asyncio.sleep(wait_s)
                wait_s = min(2 * wait_s, LONGEST_S)

    async def _send(self) -> bool:
        """Send the next jobs; whether it is of use to go on at once."""
        self._take()
        try:
            await self._client.call("PUSHB", queue=self._queue, jobs=[job.fields for job in self._flying])
        except HubError as error:
            return self._failed(error)
        else:
            self.sent += len(self._flying)
            self.error = None
            self._settled()
            return True
        finally:
            self._waiting.extendleft(reversed(self._flying))  # none, when the hub has them
            self._flying.clear()
            if not self._waiting:
                self._filled.clear()
            self._changed()

    def _take(self) -> None:
        size = 0
        most = 1 if self._singly else BATCH_JOBS
        while self._waiting and len(self._flying) < most and (not size or size + self._waiting[0].size <= BATCH_BYTES):
            job = self._waiting.popleft()
            size += job.size
            self._flying.append(job)

    def _failed(self, error: HubError) -> bool:
        if error.code in NEVER and len(self._flying) > 1:
            self._singly = len(self._flying)
            return True
        if error.code in NEVER:
            self.refused += 1
            self._settled()
            LOGGER.warning("the hub will never take a job queue=%s error=%s", self._queue, error.message)
            return True
        if not isinstance(error, LinkDownError) and error.code != self.error:
            LOGGER.warning("jobs wait in Home Assistant queue=%s code=%s", self._queue, error.code)
        self.error = error.code
        return False

    def _settled(self) -> None:
        """The jobs under way are none of ours any more."""
        self._bytes -= sum(job.size for job in self._flying)
        self._singly = max(0, self._singly - len(self._flying))
        self._flying.clear()
