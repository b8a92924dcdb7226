"""The state of queues for crowds: coalesced, at most once a second, made once for everybody who watches.

Nothing is counted while nobody watches. A queue is told of when its counts, its pause or its rates have changed.
Listeners are called in slices over the second, so that thousands of them never hold the loop for long. A listener
that takes no more for now (it returns False) is told the state of what it missed a second later.
Source: engine-rules 32.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from typing import Final, TypeVar

import msgspec

from hubqueue.errors import HubqueueError
from hubqueue.hub.verbs.query import oldest_waiting_ms
from hubqueue.model.state import State
from hubqueue.model.verbs import Event
from hubqueue.store.queues import EXPIRED, PRIORITIZED, QueueRow, Queues
from hubqueue.store.tx import Tally, Tx

N = TypeVar("N")

log = logging.getLogger(__name__)

EVERY_S: Final = 1.0
WINDOW: Final = 10  # rates are means over so many of these
SLICE: Final = 50  # listeners told at a time: about 1 ms
PAUSE_S: Final = 0.005  # between two slices
NOTICES: Final = frozenset({"forwarder:link"})  # events that are told between the summaries
MAX_QUEUES: Final = 100  # read in one go, told in one message: some milliseconds
LOOKED_AT: Final = 2000  # queues compared with what was told of them, in one go


class Flow(msgspec.Struct, frozen=True, gc=False):
    """Jobs that came and went: a number of them, or how many per second."""

    enqueued: float = 0
    leased: float = 0
    completed: float = 0
    failed: float = 0


class QueueState(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """One queue. deltas: in the last second; rates: per second, over ten.

    oldest_at: when the first waiting job was made, Unix milliseconds. expired: jobs that their ttl has removed since
    the queue is there.
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
    expired: int
    oldest_at: float | None
    deltas: Flow
    rates: Flow


class Summaries(msgspec.Struct, frozen=True, gc=False):
    """The queues that have changed, and those that are not there any more."""

    at_ms: int
    queues: tuple[QueueState, ...]
    gone: tuple[str, ...] = ()


Listen = Callable[[Summaries | Event], bool | None]
Signs = dict[str, tuple[object, ...]]  # of each queue, what shows that it has changed
Read = tuple[list[QueueState], Signs]
Run = Callable[[Callable[[Tx], Read]], Awaitable[Read]]


class Watch:
    """One per hub: listeners by queue, and to all queues (None).

    run: does a verb; now_ms: hub time; fold: brings `count` up to this moment.
    """

    def __init__(self, queues: Queues, run: Run, now_ms: Callable[[], int], fold: Callable[[], None]) -> None:
        self._queues = queues
        self._run = run
        self._fold = fold
        self._now_ms = now_ms
        self._listeners: dict[str | None, dict[Listen, None]] = {}
        self._open: Counter[Listen] = Counter()  # to how many topics each listens
        self._owed: dict[Listen, set[str] | None] = {}  # whose state is to be told, changed or not; None: of all queues
        self._in_slice = 0
        self._notices: list[Event] = []
        self._flows: dict[str, deque[list[int]]] = {}  # of the queues with traffic: the newest seconds last
        self._told: Signs = {}
        self._task: asyncio.Task[None] | None = None

    @property
    def watching(self) -> bool:
        """Whether somebody listens."""
        return self._task is not None

    def subscribe(self, queue: str | None, listen: Listen) -> Callable[[], None]:
        """Call `listen` soon with the state of a queue, or of all, and after every change. Returns what ends it."""
        self._fold()
        listeners = self._listeners.setdefault(queue, {})
        listeners[listen] = None
        self._open[listen] += 1
        self._owe(listen, None if queue is None else {queue} & self._queues.by_name.keys())
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._watch(), name="summaries")

        def end() -> None:
            if listeners.pop(listen, self) is self:
                return  # it has ended before
            self._open -= Counter((listen,))
            if listen not in self._open:
                self._owed.pop(listen, None)
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
        self._owed.clear()
        self._flows.clear()
        self._told.clear()

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            started_s = loop.time()
            self._fold()
            try:
                await self._tell_owed()
                await self._tell_changes()
                await self._tell_notices()
            except HubqueueError as error:  # the hub stops, or its file is in trouble: logged there
                log.debug("summaries are left out code=%s", error.code)
            except Exception:
                log.exception("Summaries failed: a defect")
            await self._next_second()
            await asyncio.sleep(max(0.0, started_s + EVERY_S - loop.time()))

    async def _tell_owed(self) -> None:
        """The state of their queues for those who have just come, or could not take it before."""
        owed, self._owed = self._owed, {}
        try:
            everything = [listen for listen, names in owed.items() if names is None]
            if everything:
                for part in _parts(self._queues.by_name):
                    states, signs = await self._read(part)
                    self._note(signs)
                    await self._tell(everything, Summaries(self._now_ms(), tuple(states)))
                for listen in everything:
                    owed.pop(listen, None)
            alike: dict[frozenset[str], list[Listen]] = {}
            for listen, names in owed.items():
                if names:
                    alike.setdefault(frozenset(names), []).append(listen)
            for each, listeners in alike.items():
                there = [name for name in each if name in self._queues.by_name]
                gone = tuple(each.difference(there))
                for part in _parts(there):
                    states, signs = await self._read(part)
                    self._note(signs)
                    await self._tell(listeners, Summaries(self._now_ms(), tuple(states)))
                if gone:
                    await self._tell(listeners, Summaries(self._now_ms(), (), gone))
        except HubqueueError:
            for listen, names in owed.items():
                self._owe(listen, names)
            raise

    async def _tell_changes(self) -> None:
        gone = await self._gone()
        for part in _parts(await self._changed()):
            states, signs = await self._read(part)
            self._told |= signs
            await self._tell(self._listeners.get(None, ()), Summaries(self._now_ms(), tuple(states)))
            for state in states:
                listeners = self._listeners.get(state.queue)
                if listeners:
                    await self._tell(listeners, Summaries(self._now_ms(), (state,)))
        for part in _parts(gone):
            await self._tell(self._listeners.get(None, ()), Summaries(self._now_ms(), (), tuple(part)))
        for name in gone:
            await self._tell(self._listeners.get(name, ()), Summaries(self._now_ms(), (), (name,)))

    async def _tell_notices(self) -> None:
        notices, self._notices = self._notices, []
        for event in notices:
            await self._tell((*self._listeners.get(event.queue, ()), *self._listeners.get(None, ())), event)

    async def _gone(self) -> list[str]:
        """The queues that were told of and are not there any more; they are forgotten."""
        gone = []
        for part in _parts(self._told, LOOKED_AT):
            gone += [name for name in part if name not in self._queues.by_name]
            await asyncio.sleep(0)
        for name in gone:
            self._told.pop(name, None)
        return gone

    async def _changed(self) -> list[str]:
        """The queues that somebody listens to and that differ from what was told last."""
        wanted = self._queues.by_name if None in self._listeners else self._listeners
        changed = []
        for part in _parts(wanted, LOOKED_AT):
            for name in part:
                row = None if name is None else self._queues.find(name)
                if row is not None and self._told.get(row.name) != self._sign(row):
                    changed.append(row.name)
            await asyncio.sleep(0)
        return changed

    async def _read(self, names: list[str]) -> Read:
        """The state of these queues, as of one moment."""

        def read(tx: Tx) -> Read:
            rows = [row for row in map(tx.queues.find, names) if row is not None]
            states = [_state(tx, row, self._flows.get(row.name)) for row in rows]
            return states, {row.name: self._sign(row) for row in rows}

        return await self._run(read)

    def _sign(self, row: QueueRow) -> tuple[object, ...]:
        return (row.paused, *row.n, *_sums(self._flows.get(row.name)))

    def _note(self, signs: Signs) -> None:
        """What was told first of a queue. Later changes are noted when they are told to everybody."""
        for name, sign in signs.items():
            self._told.setdefault(name, sign)

    def _owe(self, listen: Listen, names: set[str] | None) -> None:
        if listen not in self._open:
            return
        before = self._owed.get(listen, set())
        self._owed[listen] = None if names is None or before is None else before | names

    async def _tell(self, listeners: Iterable[Listen], told: Summaries | Event) -> None:
        for listen in tuple(listeners):
            if listen not in self._open:
                continue
            try:
                taken = listen(told)
            except Exception:
                log.exception("A listener to summaries failed: a defect of it")
                taken = True
            if taken is False and isinstance(told, Summaries):
                self._owe(listen, {state.queue for state in told.queues}.union(told.gone))
            self._in_slice += 1
            if self._in_slice >= SLICE:
                self._in_slice = 0
                await asyncio.sleep(PAUSE_S)

    async def _next_second(self) -> None:
        """A new second begins; queues without traffic for ten of them are forgotten."""
        for part in _parts(self._flows, LOOKED_AT):
            for name in part:
                seconds = self._flows.get(name)
                if seconds is None:
                    continue
                if any(map(any, seconds)):
                    seconds.append([0] * Tally.SIZE)
                else:
                    del self._flows[name]
            await asyncio.sleep(0)


def _parts(names: Iterable[N], size: int = MAX_QUEUES) -> Iterator[list[N]]:
    """The names, as they are now, in parts that are dealt with in one go."""
    every = list(names)
    return (every[at : at + size] for at in range(0, len(every), size))


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
        expired=n[EXPIRED],
        oldest_at=None if oldest_ms is None else float(oldest_ms),
        deltas=Flow() if seconds is None else Flow(*seconds[-1]),
        rates=Flow() if seconds is None else Flow(*(total / WINDOW for total in _sums(seconds))),
    )
