"""Sends what waits for one queue, in order, while the link is up. One queue that takes nothing stops no other."""

from __future__ import annotations

import asyncio
import json
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final, Protocol

from .client import HubClient
from .const import LOGGER
from .errors import HubError, LinkDownError
from .outbox_entry import ONCE, Entry

BATCH_ENTRIES: Final = 200
BATCH_BYTES: Final = 1024 * 1024
CLOCKS_MS: Final = 2_000  # what the hub's clock may be known wrong by
MOMENT_S: Final = 0.4  # who is not answered by then is kept here
FIRST_S: Final = 0.25
LONGEST_S: Final = 30.0
# Of what will not pass by itself, these are not the job's fault: somebody may change the token, or mend the hub.
CURABLE: Final = frozenset({"forbidden", "not_authenticated", "error", "protocol_error", "damaged_file"})


class Outgoing(Protocol):
    """Who owns the entries."""

    def settled(self, entry: Entry, ids: list[str]) -> None:
        """The hub has it."""

    def refused(self, entry: Entry, error: HubError) -> None:
        """The hub will never take it."""

    def held(self) -> None:
        """Entries wait that are not on their way."""


class Sender:
    """error: code of the last failure; None since the hub has taken something."""

    def __init__(self, queue: str, out: Outgoing) -> None:
        self.queue = queue
        self.entries = OrderedDict[int, Entry]()
        self.error: str | None = None
        self._out = out
        self._last_ms = 0
        self._singly = 0  # so many entries are sent alone: one of them was refused

    async def run(self, client: HubClient, now_s: Callable[[], float]) -> None:
        """Send until nothing waits."""
        wait_s = FIRST_S
        while self.entries:
            await client.up()
            batch = self._next()
            try:
                await self._send(client, batch, now_s())
            except HubError as error:
                if self._is_of_the_job(error, batch):
                    continue
                link = isinstance(error, LinkDownError)
                self._hold(error)
                await asyncio.sleep(FIRST_S if link else wait_s)
                wait_s = wait_s if link else min(2 * wait_s, LONGEST_S)
            else:
                wait_s = FIRST_S
            finally:
                for entry in batch:
                    entry.flying = False

    def _next(self) -> list[Entry]:
        batch: list[Entry] = []
        size = 0
        for entry in self.entries.values():
            if batch and (self._singly or len(batch) == BATCH_ENTRIES or size + entry.size > BATCH_BYTES):
                break
            batch.append(entry)
            size += entry.size
            entry.flying = True
        return batch

    async def _send(self, client: HubClient, batch: list[Entry], now_s: float) -> None:
        now_ms = time.time_ns() // 1_000_000
        jobs_of = {entry.number: self._stamped(entry, client.hub_now_ms(), now_ms, now_s) for entry in batch}
        asked = [(entry, id) for entry in batch if (id := entry.doubt(now_ms)) is not None]
        found = await asyncio.gather(*(_is_there(client, id, jobs_of[entry.number]) for entry, id in asked))
        there = {entry.number for (entry, _), is_there in zip(asked, found, strict=True) if is_there}
        for entry in batch:
            entry.tried = True
        ids: list[str] = []
        if jobs := [job for entry in batch if entry.number not in there for job in jobs_of[entry.number]]:
            ids = (await client.call("PUSHB", queue=self.queue, jobs=jobs))["ids"]
        self.error = None
        self._singly = max(0, self._singly - len(batch))
        for entry in batch:
            sent = 0 if entry.number in there else entry.count
            self._out.settled(entry, ids[:sent] or entry.ids())
            ids = ids[sent:]

    def _stamped(self, entry: Entry, hub_ms: int | None, now_ms: int, now_s: float) -> list[dict[str, Any]]:
        """The jobs as PUSHB takes them, with the time when they were made: delay, order and end count from it.

        It is the hub's time, which may be another one. A reading has its own, but for one that would lie far ahead.
        """
        hub_ms = now_ms if hub_ms is None else hub_ms
        made_ms = hub_ms - entry.waited_ms(now_ms, now_s)
        if made_ms < self._last_ms < made_ms + CLOCKS_MS:
            made_ms = self._last_ms  # what is sent later was made later
        self._last_ms = made_ms
        jobs: list[dict[str, Any]] = json.loads(entry.jobs)
        for job in jobs:
            own_ms = job.get("timestamp", made_ms)
            job["timestamp"] = own_ms if own_ms <= hub_ms + CLOCKS_MS else made_ms
        return jobs

    def _is_of_the_job(self, error: HubError, batch: list[Entry]) -> bool:
        """Whether it is dealt with: the reason is in the entry, or who waits for it is told, or fewer are tried."""
        if len(batch) > 1 and error.code == "queue_full":  # for some there may be room
            self._singly = len(batch)
            return True
        if error.retryable or (error.code in CURABLE and not any(entry.awaited for entry in batch)):
            return False
        if len(batch) > 1:
            self._singly = len(batch)
            return True
        self._singly = max(0, self._singly - 1)
        self._out.refused(batch[0], error)
        return True

    def _hold(self, error: HubError) -> None:
        if not isinstance(error, LinkDownError) and error.code != self.error:
            LOGGER.warning("jobs wait in Home Assistant queue=%s code=%s", self.queue, error.code)
        self.error = error.code
        self._out.held()


async def _is_there(client: HubClient, id: str, jobs: list[dict[str, Any]]) -> bool:
    """Whether the hub has this job, ended or not. Errors: HubError: it could not say.

    An id of somebody's own may be that of an earlier job: ours is not older, and has the same in it.
    """
    try:
        found = (await client.call("GetJob", id=id))["job"]
    except HubError as error:
        if error.retryable:
            raise
        return False  # it is not there, or this token may not look
    ours = next(job for job in jobs if job["customId"] == id)
    return id.startswith(ONCE) or (
        float(found["createdAt"]) >= ours["timestamp"] - CLOCKS_MS and found.get("data") == ours.get("data")
    )
