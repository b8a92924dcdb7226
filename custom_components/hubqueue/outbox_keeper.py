"""When an outbox is written to its file: off the event loop, one write after the other.

An action at once while nothing can be sent, else what was not answered within a moment; what the hub has taken is noted
within a second. A file that cannot be written is tried again: until then actions are told, and readings wait in memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from homeassistant.core import HomeAssistant, callback

from .const import LOGGER
from .errors import HubError
from .outbox_entry import Entry, Sent, Tally
from .outbox_file import Left, OutboxFile
from .outbox_sender import MOMENT_S

AT_ONCE_S: Final = 0.02  # what comes together is written together
NOTED_S: Final = 1.0
AGAIN_S: Final = 5.0  # after a write that failed
SLACK_BYTES: Final = 256 * 1024  # so much more than what still waits may the file hold before it is written anew


class Kept(Protocol):
    """Who owns the entries."""

    @property
    def tallies(self) -> Mapping[str | None, Tally]: ...

    @property
    def bytes(self) -> int: ...

    @property
    def most_bytes(self) -> int: ...

    def entries(self) -> list[Entry]: ...

    def held_up(self, queue: str) -> bool: ...

    def give_up(self, entry: Entry, error: HubError) -> bool: ...

    def full(self) -> HubError: ...


class Keeper:
    """error: why the file cannot be written; None while it can."""

    def __init__(self, hass: HomeAssistant, file: OutboxFile, kept: Kept, changed: Callable[[], None]) -> None:
        self.error: str | None = None
        self.writes = 0
        self._hass = hass
        self._file = file
        self._kept = kept
        self._changed = changed
        self._unwritten: dict[int, Entry] = {}
        self._done: list[int] = []
        self._told: set[str | None] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._due_s = 0.0
        self._task: asyncio.Task[None] | None = None
        self._closed = False

    async def async_load(self) -> Left:
        """What an earlier run has left, and the file without what was damaged."""
        try:
            left = await self._hass.async_add_executor_job(self._file.load)
        except OSError as error:
            self._failed(error)
            return Left()
        if left.aside is not None:
            LOGGER.warning("what was kept is for another hub or cannot be read, it is set aside file=%s", left.aside)
        if left.damaged or self._file.torn:
            try:
                await self._hass.async_add_executor_job(self._file.rewrite, left.puts, left.told)
            except OSError as error:
                self._failed(error)
        return left

    @callback
    def put(self, entry: Entry) -> None:
        """An entry waits from now on."""
        if not entry.kept:
            self._unwritten[entry.number] = entry
            self._schedule(AT_ONCE_S if self._is_urgent(entry) else MOMENT_S)

    @callback
    def done(self, entry: Entry) -> None:
        """An entry waits no more."""
        if entry.kept:
            self._done.append(entry.number)
            self._schedule(NOTED_S)
        else:
            self._unwritten.pop(entry.number, None)

    @callback
    def told(self, of: str | None) -> None:
        """The counters of a feed are others."""
        self._told.add(of)
        self._schedule(NOTED_S)

    @callback
    def hurry(self) -> None:
        """Nothing is sent for now."""
        if self._unwritten:
            self._schedule(self._within_s())

    async def async_close(self) -> None:
        """Write what there is, and nothing more."""
        self._closed = True
        self._cancel_timer()
        while self._task is not None:
            await asyncio.wait([self._task])
        await self._write()

    async def async_remove(self) -> None:
        """Delete the file, and write nothing more."""
        self._closed = True
        self._cancel_timer()
        while self._task is not None:
            await asyncio.wait([self._task])
        try:
            await self._hass.async_add_executor_job(self._file.remove)
        except OSError as error:
            self._failed(error)

    def _schedule(self, in_s: float) -> None:
        """Write within this time."""
        if self._closed or self._task is not None:
            return
        due_s = self._hass.loop.time() + in_s
        if self._timer is not None:
            if self._due_s <= due_s:
                return
            self._timer.cancel()
        self._due_s = due_s
        self._timer = self._hass.loop.call_at(due_s, self._begin)

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _begin(self) -> None:
        self._timer = None
        self._task = self._hass.async_create_task(self._write_and_go_on(), "hubqueue outbox write", eager_start=False)

    async def _write_and_go_on(self) -> None:
        try:
            written = await self._write()
        finally:
            self._task = None
        if not written:
            self._schedule(AGAIN_S)
        elif self._unwritten:
            self._schedule(self._within_s())
        elif self._done or self._told:
            self._schedule(NOTED_S)

    def _is_urgent(self, entry: Entry) -> bool:
        """Whether somebody waits for it to be written; a reading a moment later spares the memory card."""
        return entry.awaited and self._kept.held_up(entry.queue)

    def _within_s(self) -> float:
        return AT_ONCE_S if any(map(self._is_urgent, self._unwritten.values())) else MOMENT_S

    async def _write(self) -> bool:
        """Write all that is not written; whether that could be done."""
        self._refuse_what_has_no_room()
        entries, done, told = list(self._unwritten.values()), self._done, self._told
        if not (entries or done or told):
            return True
        self._done, self._told = [], set()
        try:
            await self._hass.async_add_executor_job(self._job(entries, done, told))
        except OSError as error:
            self._done, self._told = done + self._done, told | self._told
            self._failed(error)
            for entry in entries:
                self._kept.give_up(entry, HubError("outbox_disk", str(error)))
            return False
        self.writes += 1
        for entry in entries:
            self._is_kept(entry)
        if self.error is not None:
            self.error = None
            LOGGER.info("what waits for the hub is kept on the disk again file=%s", self._file.path.name)
            self._changed()
        return True

    def _job(self, entries: list[Entry], done: list[int], told: set[str | None]) -> Callable[[], None]:
        """What to do to the file, as it is to be now."""
        counters = [(of, tally) for of, tally in self._kept.tallies.items() if tally.lost]
        waiting = self._kept.entries()
        if not waiting and not counters:
            return self._file.remove
        everything = [tally.told(of) for of, tally in counters]
        if not waiting:
            return lambda: self._file.rewrite([], everything)
        puts = [entry.put() for entry in entries]
        changed = [self._kept.tallies[of].told(of) for of in told]
        most = 2 * self._kept.bytes + SLACK_BYTES
        alive = [entry.put() for entry in waiting] if self._file.size > most else None

        def write() -> None:
            if alive is None:
                self._file.append(puts, done, changed)
            else:
                self._file.rewrite(alive, everything)

        return write

    def _is_kept(self, entry: Entry) -> None:
        """It is in the file: who waits is told. It may have left meanwhile."""
        entry.kept = True
        if self._unwritten.pop(entry.number, None) is None:
            self._done.append(entry.number)
        elif entry.awaited:
            assert entry.answer is not None
            entry.answer.set_result(Sent(entry.ids(), kept=True))

    def _refuse_what_has_no_room(self) -> None:
        """Actions that were let in because they would be sent at once, and were not."""
        for entry in reversed(list(self._unwritten.values())):
            if self._kept.bytes <= self._kept.most_bytes:
                break
            self._kept.give_up(entry, self._kept.full())

    def _failed(self, error: OSError) -> None:
        if self.error is None:
            LOGGER.error("what waits for the hub cannot be kept file=%s error=%s", self._file.path.name, error)
        self.error = error.strerror or str(error)
        self._changed()
