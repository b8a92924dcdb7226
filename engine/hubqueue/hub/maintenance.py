"""Maintenance: what happens by itself. One timer for what is due, one second's beat for the rest.

Due: rows of obliterated queues, expired leases, delayed jobs, schedules, times to live. Beat: clock jumps, disk
space, the size cap, retention. Work comes in slices of SLICE rows, so that no step holds the loop for long.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from hubqueue.errors import DiskFull, HubqueueError
from hubqueue.hub.pulse import Pulse
from hubqueue.hub.settings import HubSettings
from hubqueue.hub.verbs import expire, lapse, overflow, rows, schedule
from hubqueue.hub.verbs.enqueue import evict
from hubqueue.model.state import Move, State
from hubqueue.store import changes, delays, groups, ids, leases, lists, retention, schedules
from hubqueue.store.effects import Alarm
from hubqueue.store.queues import NEVER, QueueRow
from hubqueue.store.slices import SLICE
from hubqueue.store.store import Store
from hubqueue.store.tx import Tx

log = logging.getLogger(__name__)

PAGES: Final = 200  # given back in one step: they may have to be moved
FIRES: Final = 50  # schedules fired in one step
ENDED: Final = 100  # jobs whose time is over that are ended in one step: each becomes a dead letter by itself
BEAT_S: Final = 1.0
RETENTION_BEATS: Final = 10
QUEUES_LOOKED_AT: Final = 1000  # in one go: about 1 ms
JUMP_PAUSE_MS: Final = 600_000  # after a clock jump nothing is deleted for its age for this long


class Maintenance:
    """Started by the hub when it is open; `due_at` is told by every group what it made due."""

    def __init__(
        self,
        store: Store,
        settings: HubSettings,
        alarm: Alarm,
        hold_cap: Callable[[], Awaitable[None]],
        write_metrics: Callable[[], Awaitable[None]],
        sample: Callable[[], Awaitable[None]],
        served: Callable[[str], bool],
    ) -> None:
        """hold_cap keeps the file below its size cap; sample is for the history; served: has a queue a worker?

        alarm: tells the store when there will be a look anyway.
        """
        self._store = store
        self._settings = settings
        self._hold_cap = hold_cap
        self._write_metrics = write_metrics
        self._sample = sample
        self._served = served
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._alarm = alarm
        self._busy = False
        self._stopped = False
        self._ends_leases = False
        self._pulse = Pulse(self._loop)
        self._no_ageing_before_ms = 0
        # by queue id: the ages its jobs are kept for, and when the oldest is to be looked at again
        self._kept: dict[int, tuple[int | None, int | None, int]] = {}
        self._beats: asyncio.Task[None] | None = None

    def end_leases(self) -> None:
        """From now on leases that run out are ended: workers can reach the hub."""
        self._ends_leases = True
        self.due_at(self._store.clock.now_ms())

    def start(self) -> None:
        self._pulse.start()
        self._beats = self._loop.create_task(self._beat())
        self.due_at(self._store.clock.now_ms())

    async def stop(self) -> None:
        self._stopped = True
        self._pulse.stop()
        if self._timer is not None:
            self._timer.cancel()
        if self._beats is not None:
            self._beats.cancel()
            await asyncio.gather(self._beats, return_exceptions=True)

    def due_at(self, at_ms: int) -> None:
        """Something is to be done at this time (or has been due)."""
        if self._stopped or at_ms >= self._alarm.at_ms:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._alarm.at_ms = at_ms
        delay_s = max(0.0, (at_ms - self._store.clock.now_ms()) / 1000)
        self._timer = self._loop.call_later(min(delay_s, 3600.0), self._due)

    def _due(self) -> None:
        self._timer = None
        self._alarm.at_ms = NEVER
        if self._busy:
            return
        self._busy = True
        missed_ms = self._pulse.missed_ms()
        if missed_ms:
            text = "The hub did not run for a while: leases get that time back. missed_s=%.1f"
            log.warning(text, missed_ms / 1000)
            self._store.submit(lambda tx: leases.prolong(tx, missed_ms), lambda result: None)
        self._store.submit(self._due_slice, self._due_done)

    def _due_slice(self, tx: Tx) -> int:
        """One slice of everything that is due; when the next is."""
        more = retention.doomed_slice(tx, SLICE)
        more |= self._ends_leases and lapse.sweep(tx, SLICE) > 0
        for row in list(tx.queues.by_id.values()):
            if row.n[State.DELAYED] and row.next_due_ms <= tx.now_ms:
                more |= delays.promote_due(tx, row, SLICE) == SLICE
            if row.refill_ms <= tx.now_ms:
                row.refill_ms = NEVER
                tx.undo.append(lambda row=row: setattr(row, "refill_ms", 0))  # type: ignore[misc]
                tx.available(row, min(row.n[State.WAITING], SLICE))
        more |= schedule.fire_due(tx, FIRES, self._served) == FIRES
        more |= expire.end_due(tx, ENDED) > 0
        more |= overflow.give_back(tx, SLICE) > 0
        return tx.now_ms if more else NEVER

    def _due_done(self, result: int | HubqueueError) -> None:
        self._busy = False
        if isinstance(result, HubqueueError):
            self.due_at(self._store.clock.now_ms() + 1000)
        elif result < NEVER:
            self.due_at(result)
        else:
            self._store.submit(self._next_due, self._plan)

    def _plan(self, at_ms: int | HubqueueError) -> None:
        if isinstance(at_ms, HubqueueError):
            self.due_at(self._store.clock.now_ms() + 1000)
        elif at_ms < NEVER:
            # at least a millisecond on: what is due now was just looked at
            self.due_at(max(at_ms, self._store.clock.now_ms() + 1))

    async def _beat(self) -> None:
        beats = 0
        while True:
            try:
                await self._follow_clock()
                if self._store.space.check():
                    await self.make_room()
                await self._hold_cap()
                if self._store.queues.find(overflow.OVERFLOW) is not None:
                    self.due_at(self._store.clock.now_ms())  # whatever made room for what waits there
                if beats:  # the first one comes with the start, which has enough to do
                    await self._sample()
                if beats % RETENTION_BEATS == 0:
                    await self._retain()
                    await self._write_metrics()
            except (HubqueueError, OSError) as error:
                log.warning("Maintenance could not be done and is tried again. error=%s", error)
            beats += 1
            await asyncio.sleep(BEAT_S)

    async def make_room(self) -> None:
        """On a full disk the file gives back what it does not use, until new jobs are taken again."""
        await self._store.space.cut()
        if not self._store.space.full:
            return
        try:
            await self._repeat(lambda tx: retention.doomed_slice(tx, SLICE))
            await self._repeat(lambda tx: expire.end_due(tx, ENDED) > 0)
            if await self._give_back(spare=False):
                await self._store.space.cut(always=True)
        except DiskFull:
            pass  # it has been told, and comes again

    async def _give_back(self, *, spare: bool) -> int:
        """Return free pages of the file to the disk, with the next checkpoint; how many."""
        given = 0
        while count := await self._store.run_freeing(lambda tx: retention.give_back_pages(tx, PAGES, spare=spare)):
            given += count
            self._store.space.watch(self._store.clock.now_ms())
        return given

    async def _follow_clock(self) -> None:
        jump_ms = self._store.clock.jump_ms()
        if not jump_ms:
            return
        log.warning("The system clock jumped: running leases and delays move with it. jump_s=%.1f", jump_ms / 1000)

        def follow(tx: Tx) -> None:
            leases.shift(tx, jump_ms)
            schedule.follow_jump(tx, tx.now_ms + jump_ms, jump_ms)
            self._rebase(tx, jump_ms)
            tx.undo.append(lambda: self._rebase(tx, -jump_ms))

        await self._store.run(follow)
        now_ms = self._store.clock.now_ms()
        self._no_ageing_before_ms = now_ms + JUMP_PAUSE_MS
        self._kept.clear()
        self._alarm.at_ms = NEVER
        self.due_at(now_ms)

    def _rebase(self, tx: Tx, jump_ms: int) -> None:
        """Hub time is the new one at once: verbs behind this one in its group must not see what was shifted as past."""
        self._store.clock.rebase(jump_ms)
        tx.now_ms += jump_ms
        for row in tx.queues.by_id.values():
            row.shift(jump_ms)

    async def _retain(self) -> None:
        """Delete what bounds no longer keep, a slice at a time."""
        ageing = self._store.clock.now_ms() >= self._no_ageing_before_ms
        now_ms = self._store.clock.now_ms()
        for number, row in enumerate(list(self._store.queues.by_id.values())):
            if not number % QUEUES_LOOKED_AT:
                await asyncio.sleep(0)
            if (row.n[State.COMPLETED] or row.n[State.FAILED]) and self._is_to_retain(row, now_ms):
                await self._repeat(lambda tx, row=row: self._retain_slice(tx, row, ageing))  # type: ignore[misc]
        if len(self._kept) > len(self._store.queues.by_id):
            self._kept.clear()  # queues have gone
        await self._store.run(groups.prune)
        await self._store.run(overflow.prune)
        await self._give_back(spare=True)
        if ageing:
            before = self._store.clock.now_ms() - self._settings.forward_kept_ms
            await self._repeat(lambda tx: ids.expire(tx, before, self._settings.forward_kept, SLICE) >= SLICE)

    def _is_to_retain(self, row: QueueRow, now_ms: int) -> bool:
        """Whether a look at the file is due: there are too many, or the oldest may be too old by now."""
        bounds = self._store.tx.bounds(row.name)
        if row.n[State.COMPLETED] > bounds.keep_completed or row.n[State.FAILED] > bounds.max_dead:
            return True
        kept = self._kept.get(row.id)
        return kept is None or kept[:2] != (bounds.keep_completed_ms, bounds.keep_dead_ms) or now_ms >= kept[2]

    def _retain_slice(self, tx: Tx, row: QueueRow, ageing: bool) -> bool:
        bounds = tx.bounds(row.name)
        more = False
        again_ms = NEVER
        for state, kept, kept_ms in (
            (State.COMPLETED, bounds.keep_completed, bounds.keep_completed_ms),
            (State.FAILED, bounds.max_dead, bounds.keep_dead_ms),
        ):
            over = min(row.n[state] - kept, SLICE)
            old = lists.heads(tx, row.id, state, over) if over > 0 else []
            if not old and ageing and kept_ms is not None:
                old = lists.aged(tx, row, state, tx.now_ms - kept_ms, SLICE)
            if state is State.FAILED:
                evict(tx, row, state, old)
            else:
                rows.remove(tx, row, Move.MAKE_ROOM, state, old)
            more |= bool(old)
            if kept_ms is not None:
                oldest_ms = lists.first_ended_ms(tx, row, state) if row.n[state] else None
                again_ms = min(again_ms, kept_ms + (tx.now_ms if oldest_ms is None else oldest_ms))
        if ageing and not more:
            kept_for = bounds.keep_completed_ms, bounds.keep_dead_ms
            tx.after.append(lambda: self._kept.update({row.id: (*kept_for, again_ms)}))
        return more

    def _next_due(self, tx: Tx) -> int:
        due = [schedules.next_ms(tx), changes.next_end_ms(tx)]
        due += [leases.next_deadline_ms(tx.db)] if self._ends_leases else []
        due += [row.next_due_ms for row in tx.queues.by_id.values() if row.n[State.DELAYED]]
        due += [row.refill_ms for row in tx.queues.by_id.values()]
        return min((at for at in due if at is not None), default=NEVER)

    async def _repeat(self, slice: Callable[[Tx], bool]) -> None:
        more = True
        while more:
            more = await self._store.run_freeing(slice)
