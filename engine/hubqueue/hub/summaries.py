"""The state of queues for crowds: coalesced, at most once a second, made once for everybody who watches.

Nothing is counted while nobody watches. A queue is told of when its counts, its pause or its rates have changed.
Listeners are called in slices over the second, so that thousands of them never hold the loop for long.
Source: engine-rules 32.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final

import msgspec

from hubqueue.errors import HubqueueError
from hubqueue.hub.verbs.query import oldest_waiting_ms
from hubqueue.model.state import State
from hubqueue.model.verbs import Event
from hubqueue.store.queues import PRIORITIZED, QueueRow, Queues
from hubqueue.store.tx import Tally, Tx

log = logging.getLogger(__name__)

EVERY_S: Final = 1.0
WINDOW: Final = 10  # rates are means over so many of these
SLICE: Final = 50  # listeners told at a time: about 1 ms
PAUSE_S: Final = 0.005  # between two slices
NOTICES: Final = frozenset({"forwarder:link"})  # events that are told between the summaries
MAX_QUEUES: Final = 1000  # looked at in one go, told in one message


class Flow(msgspec.Struct, frozen=True, gc=False):
    """Jobs that came and went: a number of them, or how many per second."""

    enqueued: float = 0
    leased: float = 0
    completed: float = 0
    failed: float = 0


class QueueState(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """One queue. deltas: in the last second; rates: per second, over ten.

    oldest_at: when the first waiting job was made, Unix milliseconds.
    """

    queue: str
    paused: bool
    waiting: int
    prioritized: int
    delayed: int
    active: int
    waiting_children: int
    completed: int
    failed: int
    oldest_at: float | None
    deltas: Flow
    rates: Flow


class Summaries(msgspec.Struct, frozen=True, gc=False):
    """The queues that have changed, and those that are not there any more."""

    at_ms: int
    queues: tuple[QueueState, ...]
    gone: tuple[str, ...] = ()


Listen = Callable[[Summaries | Event], Any]
Run = Callable[[Callable[[Tx], list[QueueState]]], Awaitable[list[QueueState]]]


class Watch:
    """One per hub: listeners by queue, and to all queues (None).

    run: does a verb; now_ms: hub time; fold: brings `count` up to this moment.
    """

    def __init__(self, queues: Queues, run: Run, now_ms: Callable[[], int], fold: Callable[[], None]) -> None:
        self._queues = queues
        self._run = run
        self._fold = fold
        self._now_ms = now_ms
        self._listeners: dict[str | None, list[Listen]] = {}
        self._new: list[tuple[str | None, Listen]] = []  # they are told everything first
        self._notices: list[Event] = []
        self._flows: dict[str, deque[list[int]]] = {}  # of the queues with traffic: the newest seconds last
        self._told: dict[str, tuple[object, ...]] = {}
        self._task: asyncio.Task[None] | None = None

    @property
    def watching(self) -> bool:
        """Whether somebody listens."""
        return self._task is not None

    def subscribe(self, queue: str | None, listen: Listen) -> Callable[[], None]:
        """Call `listen` soon with the state of a queue, or of all, and after every change. Returns what ends it."""
        self._fold()
        listeners = self._listeners.setdefault(queue, [])
        listeners.append(listen)
        self._new.append((queue, listen))
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._watch(), name="summaries")

        def end() -> None:
            if listen in listeners:
                listeners.remove(listen)
            if not listeners and self._listeners.get(queue) is listeners:
                del self._listeners[queue]
            if not self._listeners:
                self.stop()

        return end

    def count(self, tallies: Mapping[tuple[QueueRow, int], int]) -> None:
        """This was committed since the last time."""
        for (row, tally), n in tallies.items():
            if tally >= Tally.SIZE:
                continue
            seconds = self._flows.get(row.name)
            if seconds is None:
                seconds = self._flows[row.name] = deque([[0] * Tally.SIZE], WINDOW)
            seconds[-1][tally] += n

    def wants(self, kind: str) -> bool:
        """Whether events of this kind are to be noted."""
        return self._task is not None and kind in NOTICES

    def note(self, event: Event) -> None:
        """Tell an event of such a kind with the next summaries."""
        if self.wants(event.kind):
            self._notices.append(event)

    def stop(self) -> None:
        """Nobody watches any more."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        self._notices.clear()
        self._flows.clear()
        self._told.clear()

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            started_s = loop.time()
            self._fold()
            try:
                await self._tell_new()
                await self._tell_changes()
                await self._tell_notices()
            except HubqueueError as error:  # the hub stops, or its file is in trouble: logged there
                log.debug("summaries are left out code=%s", error.code)
            except Exception:
                log.exception("Summaries failed: a defect")
            self._next_second()
            await asyncio.sleep(max(0.0, started_s + EVERY_S - loop.time()))

    async def _tell_new(self) -> None:
        """The whole state for those who have just come."""
        new, self._new = self._new, []
        for topic in dict.fromkeys(topic for topic, _ in new):
            listeners = [listen for each, listen in new if each == topic]
            for names in self._names([topic]):
                states = await self._run(partial(self._states, names=names, changed=False))
                await self._tell(listeners, Summaries(self._now_ms(), tuple(states)))

    async def _tell_changes(self) -> None:
        topics = list(self._listeners)
        gone = tuple(name for name in self._told if name not in self._queues.by_name)
        for name in gone:
            del self._told[name]
        for names in self._names(topics):
            states = await self._run(partial(self._states, names=names, changed=True))
            if states:
                await self._tell(self._listeners.get(None, ()), Summaries(self._now_ms(), tuple(states)))
            for state in states:
                listeners = self._listeners.get(state.queue)
                if listeners:
                    await self._tell(listeners, Summaries(self._now_ms(), (state,)))
        if gone:
            await self._tell(self._listeners.get(None, ()), Summaries(self._now_ms(), (), gone))
        for name in gone:
            await self._tell(self._listeners.get(name, ()), Summaries(self._now_ms(), (), (name,)))

    async def _tell_notices(self) -> None:
        notices, self._notices = self._notices, []
        for event in notices:
            await self._tell((*self._listeners.get(event.queue, ()), *self._listeners.get(None, ())), event)

    def _names(self, topics: Iterable[str | None]) -> list[list[str]]:
        """The queues of these topics that exist, in parts of a size that one transaction can look at."""
        there = self._queues.by_name
        wanted = set(topics)
        names = list(there) if None in wanted else [name for name in wanted if name in there]
        return [names[at : at + MAX_QUEUES] for at in range(0, len(names), MAX_QUEUES)]

    async def _tell(self, listeners: Iterable[Listen], told: Summaries | Event) -> None:
        for at, listen in enumerate(tuple(listeners), 1):
            try:
                listen(told)
            except Exception:
                log.exception("A listener to summaries failed: a defect of it")
            if not at % SLICE:
                await asyncio.sleep(PAUSE_S)

    def _states(self, tx: Tx, names: list[str], *, changed: bool) -> list[QueueState]:
        """The state of these queues; changed: of those that differ from what was told last, which is noted."""
        states = []
        for name in names:
            row = tx.queues.find(name)
            if row is None:
                continue
            seconds = self._flows.get(name)
            now = (row.paused, *row.n, _sums(seconds))
            if changed:
                if self._told.get(name) == now:
                    continue
                self._told[name] = now
            states.append(_state(tx, row, seconds))
        return states

    def _next_second(self) -> None:
        """A new second begins; queues without traffic for ten of them are forgotten."""
        for name, seconds in tuple(self._flows.items()):
            if any(any(counts) for counts in seconds):
                seconds.append([0] * Tally.SIZE)
            else:
                del self._flows[name]


def _sums(seconds: deque[list[int]] | None) -> tuple[int, ...]:
    return () if seconds is None else tuple(map(sum, zip(*seconds, strict=True)))


def _state(tx: Tx, row: QueueRow, seconds: deque[list[int]] | None) -> QueueState:
    n = row.n
    oldest_ms = oldest_waiting_ms(tx, row.name) if n[State.WAITING] else None
    return QueueState(
        queue=row.name,
        paused=row.paused,
        waiting=n[State.WAITING] - n[PRIORITIZED],
        prioritized=n[PRIORITIZED],
        delayed=n[State.DELAYED],
        active=n[State.ACTIVE],
        waiting_children=n[State.WAITING_CHILDREN],
        completed=n[State.COMPLETED],
        failed=n[State.FAILED],
        oldest_at=None if oldest_ms is None else float(oldest_ms),
        deltas=Flow() if seconds is None else Flow(*seconds[-1]),
        rates=Flow() if seconds is None else Flow(*(total / WINDOW for total in _sums(seconds))),
    )
