"""What Home Assistant has still to tell a hub: readings and the jobs of actions, in order for each queue.

An entry is sent at once while the link is up. What is not answered within a moment is kept in the file
(`outbox_keeper.py`), so that a hub that is there costs no write. Rules: an entry leaves only when the hub has it or
will never take it; where there is no room the oldest readings go, counted; an action is never dropped: it is told.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any, Final

from homeassistant.core import HomeAssistant

from .client import HubClient
from .connection import as_json, check_length
from .const import LOGGER
from .errors import HubError
from .outbox_entry import Entry, Sent, Tally, entries_of
from .outbox_file import Left, OutboxFile
from .outbox_keeper import Keeper
from .outbox_sender import Sender

MOST_ENTRIES: Final = 50_000
LARGEST_READING: Final = 1024 * 1024  # what is larger is no reading
STAMP_BYTES: Final = 100  # what a job has more when it is sent, and the message around them
GROWN_ENTRIES: Final = 1000  # so many are worth a word
REFUSED_S: Final = 600.0  # so is one that a hub which is there has not taken for so long


class Outbox:
    """changed: called whenever a number here is another one."""

    def __init__(
        self, hass: HomeAssistant, path: Path, hub_id: str, most_bytes: int, changed: Callable[[], None]
    ) -> None:
        self.tallies = defaultdict[str | None, Tally](Tally)
        self.most_bytes = most_bytes
        self.bytes = 0
        self._readings_bytes = 0
        self._hass = hass
        self._changed = changed
        self._client: HubClient | None = None
        self._closed = False
        self._entries = OrderedDict[int, Entry]()
        self._readings = OrderedDict[int, Entry]()
        self._senders: dict[str, Sender] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._numbers = count(1)
        self.keeper = Keeper(hass, OutboxFile(path, hub_id), self, changed)

    @property
    def connected(self) -> bool:
        return self._client is not None and self._client.connected

    @property
    def waiting(self) -> int:
        return len(self._entries)

    @property
    def grown(self) -> bool:
        """Whether so much waits, or so long although the hub is there, that somebody should know."""
        return len(self._entries) >= GROWN_ENTRIES or 2 * self.bytes > self.most_bytes or self._is_refused_for_long()

    def _is_refused_for_long(self) -> bool:
        now_ms, now_s = time.time_ns() // 1_000_000, self._hass.loop.time()
        held = [each.entries for each in self._senders.values() if each.error and each.entries and self.connected]
        return any(next(iter(each.values())).waited_ms(now_ms, now_s) > 1000 * REFUSED_S for each in held)

    def entries(self) -> list[Entry]:
        """All, oldest first."""
        return list(self._entries.values())

    def queues(self) -> set[str]:
        """For which something waits."""
        return {queue for queue, sender in self._senders.items() if sender.entries}

    def held_up(self, queue: str) -> bool:
        """Whether what is sent to a queue now does not arrive at once."""
        sender = self._senders.get(queue)
        return not self.connected or (sender is not None and sender.error is not None)

    def errors(self) -> dict[str, str]:
        """The codes of what holds queues up."""
        return {queue: each.error for queue, each in sorted(self._senders.items()) if each.error and each.entries}

    async def async_load(self) -> Left:
        """Begin with what an earlier run has left; once, before anything is offered."""
        left = await self.keeper.async_load()
        for told in left.told:
            self.tallies[told.of].restore(told)
        for entry in await self._hass.async_add_executor_job(entries_of, left.puts):  # seconds, when there are many
            self._add(entry)
            if not entry.count:
                self._remove(entry)
        self._numbers = count(max((put.number for put in left.puts), default=0) + 1)
        self._changed()
        return left

    def attach(self, client: HubClient) -> None:
        """Send by this link from now on."""
        self._client = client
        for queue in self._senders:
            self._start(queue)

    def detach(self) -> None:
        """Send nothing for now."""
        self._client = None
        for task in self._tasks.values():
            task.cancel()
        self._tasks.clear()
        self.held()

    async def async_close(self) -> None:
        """What the hub does not have is on the disk when this is done."""
        self._closed = True
        self.detach()
        await self.keeper.async_close()
        for entry in self.entries():
            self.give_up(entry, HubError("link_down", "Home Assistant stops"))

    async def async_forget(self) -> None:
        """The hub is none of ours any more: so is what waits for it."""
        if self._entries:
            LOGGER.warning("jobs are dropped as their hub was removed count=%d", len(self._entries))
        self._closed = True
        self.detach()
        for entry in self.entries():
            self._fail(entry, HubError("link_down", "The hub was removed"))
        await self.keeper.async_remove()

    def offer(self, queue: str, of: str, job: bytes) -> None:
        """A reading, as JSON of one job."""
        if self._closed:
            return
        tally = self.tallies[of]
        entry = self._made(queue, of, b"[" + job + b"]")
        if len(job) > min(LARGEST_READING, self.most_bytes // 2):
            self._count_refused(entry, HubError("payload_too_large", f"{len(job)} bytes are too much for a reading"))
        elif self._make_room(entry.size):
            self._add(entry)
        else:
            tally.dropped += 1
            self.keeper.told(of)
        self._changed()

    async def async_put(self, queue: str, jobs: list[dict[str, Any]]) -> Sent:
        """Jobs of an action; each has its customId. At the hub, or on the disk here, when this returns.

        Errors: HubError: what the hub says of them, or that they could not be kept.
        """
        if self._closed:
            raise HubError("link_down", "Home Assistant stops", retryable=True)
        entry = self._made(queue, None, as_json(jobs).encode())
        entry.count = len(jobs)
        check_length(len(entry.jobs) + STAMP_BYTES * len(jobs))
        entry.answer = asyncio.get_running_loop().create_future()
        if not self._make_room(entry.size) and (self.held_up(queue) or self._sender(queue).entries):
            raise self.full()
        self._add(entry)
        self._changed()
        return await entry.answer

    def full(self) -> HubError:
        return HubError("outbox_full", f"{len(self._entries)} entries wait for the hub, {self.bytes} bytes")

    def forget_lost(self, of: str | None, dropped: bool) -> None:
        """Somebody knows of what was dropped, or of what was refused."""
        self.tallies[of].forget_lost(dropped)
        self.keeper.told(of)
        self._changed()

    def settled(self, entry: Entry, ids: list[str]) -> None:
        self.tallies[entry.of].sent += entry.count
        self._remove(entry)
        if entry.answer is not None and not entry.answer.done():
            entry.answer.set_result(Sent(ids, kept=False))
        self._changed()

    def refused(self, entry: Entry, error: HubError) -> None:
        if entry.awaited:
            self._fail(entry, error)
        else:
            self._count_refused(entry, error)
            self._remove(entry)
        self._changed()

    def held(self) -> None:
        self.keeper.hurry()
        self._changed()

    def give_up(self, entry: Entry, error: HubError) -> bool:
        """Take an entry back that cannot be kept; whether it could be: what is on its way may arrive."""
        if entry.flying or not entry.awaited or entry.number not in self._entries:
            return False
        self._fail(entry, error)
        return True

    def _made(self, queue: str, of: str | None, jobs: bytes) -> Entry:
        now_s = self._hass.loop.time()
        return Entry(next(self._numbers), queue, of, jobs, time.time_ns() // 1_000_000, now_s)

    def _make_room(self, size: int) -> bool:
        """Whether there is room now, for the price of the oldest readings; none goes where that would not do."""
        if self.bytes - self._readings_bytes + size > self.most_bytes:
            return False
        while len(self._entries) >= MOST_ENTRIES or self.bytes + size > self.most_bytes:
            oldest = next((each for each in self._readings.values() if not each.flying), None)
            if oldest is None:
                return False
            self.tallies[oldest.of].dropped += oldest.count
            self.keeper.told(oldest.of)
            self._remove(oldest)
        return True

    def _add(self, entry: Entry) -> None:
        self._entries[entry.number] = entry
        if entry.of is not None:
            self._readings[entry.number] = entry
            self._readings_bytes += entry.size
        self.bytes += entry.size
        self.tallies[entry.of].waiting += entry.count
        self._sender(entry.queue).entries[entry.number] = entry
        self._start(entry.queue)
        self.keeper.put(entry)

    def _remove(self, entry: Entry) -> None:
        del self._entries[entry.number]
        if self._readings.pop(entry.number, None) is not None:
            self._readings_bytes -= entry.size
        self.bytes -= entry.size
        self.tallies[entry.of].waiting -= entry.count
        sender = self._senders[entry.queue]
        del sender.entries[entry.number]
        self.keeper.done(entry)

    def _fail(self, entry: Entry, error: HubError) -> None:
        self._remove(entry)
        if entry.answer is not None and not entry.answer.done():
            entry.answer.set_exception(error)

    def _count_refused(self, entry: Entry, error: HubError) -> None:
        tally = self.tallies[entry.of]
        tally.refused += entry.count
        words = error.message.removeprefix("jobs[0]: ")[:500]
        tally.words.append({"queue": entry.queue, "id": entry.ids()[0][:100], "code": error.code, "error": words})
        self.keeper.told(entry.of)
        LOGGER.warning("the hub will never take a job queue=%s code=%s error=%s", entry.queue, error.code, words)

    def _sender(self, queue: str) -> Sender:
        if queue not in self._senders:
            self._senders[queue] = Sender(queue, self)
        return self._senders[queue]

    def _start(self, queue: str) -> None:
        """See that somebody sends what waits for a queue."""
        task, client = self._tasks.get(queue), self._client
        if client is None or not self._senders[queue].entries or (task is not None and not task.done()):
            return
        run = self._senders[queue].run(client, self._hass.loop.time)
        self._tasks[queue] = self._hass.async_create_background_task(run, f"hubqueue outbox {queue}", eager_start=False)
