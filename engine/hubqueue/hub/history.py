"""How the hub and its queues have done in the last day: a sample every ten seconds, kept in memory.

Fed by what commits count (`count`, through hub/tallies), sampled by maintenance (`beat`). Bounded: the hub and at most
MAX_TRACKS queues have a track of 10 kB; when they are all in use, queues that are empty and have been idle longest give
theirs up, and what goes through queues without one is in the history of the hub only. The jobs that ended before this
process come from the minutes in the file (hub/metrics.py).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from heapq import nlargest
from itertools import islice
from typing import Final, NamedTuple

import msgspec

from hubqueue.hub.metrics import MINUTE_MS
from hubqueue.hub.timeseries import LEVELS, Series, TimeSeries
from hubqueue.hub.verbs import query
from hubqueue.model.state import State
from hubqueue.store import history
from hubqueue.store.queues import PRIORITIZED, QueueRow, Queues
from hubqueue.store.tx import Sampling, Tally, Tx

SPANS: Final = ("15m", "1h", "6h", "24h")  # one for each of LEVELS
MAX_TRACKS: Final = 200  # 2 MB
MAX_COUNTS: Final = 20_000  # of one sample; beyond it queues are not told apart
IDLE_S: Final = 600  # a queue so long without a job in or out gives its track up when another needs it
QUEUES_READ: Final = 25  # whose oldest job, or minutes, are read in one step
MANY: Final = 2_000  # jobs leased in one sample; beyond it the times of one in eight are taken
ONE_IN_EIGHT: Final = 7
SAMPLE: Final = 0  # the level of the samples
DAY_S: Final = 86_400

Counts = dict[tuple[QueueRow | None, int], int]
Run = Callable[[Callable[[Tx], None]], Awaitable[None]]


class Past(msgspec.Struct, frozen=True, rename="camel"):
    """Lists of equal length, None where nothing is known. times: when each slot began.

    Units: times Unix seconds; enqueued, completed, failed jobs per second; *_ms milliseconds.
    """

    times: list[int]
    enqueued: list[float | None]
    completed: list[float | None]
    failed: list[float | None]
    waiting: list[float | None]
    oldest_ms: list[float | None]
    wait_p50_ms: list[float | None]
    wait_p95_ms: list[float | None]
    run_p50_ms: list[float | None]
    run_p95_ms: list[float | None]
    lag_ms: list[float | None]


class PerMinute(NamedTuple):
    """Means of the last minute of samples."""

    enqueued: float
    completed: float
    failed: float


class History:
    """One per hub. uplinks: the queues that forwarders empty, as these say; the age of their oldest job is the lag."""

    def __init__(self, queues: Queues, run: Run, now_ms: Callable[[], int], sampling: Sampling) -> None:
        self.uplinks: set[str] = set()
        self._queues = queues
        self._sampling = sampling
        self._run = run
        self._now_ms = now_ms
        self._hub = TimeSeries()
        self._lag = TimeSeries()  # of all uplinks, as an oldest age
        self._tracks: dict[int, TimeSeries] = {}  # by queue id
        self._counts: Counts = {}
        self._slots: list[int] = []  # the open slot of each level

    def count(self, tallies: Mapping[tuple[QueueRow, int], int]) -> None:
        """This was committed since the last time."""
        counts = self._counts
        for key, n in tallies.items():
            if key in counts:
                counts[key] += n
            elif len(counts) < MAX_COUNTS:
                counts[key] = n
            else:
                whole = (None, key[1])
                counts[whole] = counts.get(whole, 0) + n

    async def beat(self) -> None:
        """Take a sample if one is due."""
        now_s = self._now_ms() // 1000
        if not self._slots:
            await self._begin(now_s)
        elif now_s // LEVELS[SAMPLE].step_s != self._slots[SAMPLE]:
            await self._sample()
            self._turn(self._now_ms() // 1000)

    async def _begin(self, now_s: int) -> None:
        self._slots = [now_s // level.step_s for level in LEVELS]
        largest = nlargest(MAX_TRACKS, self._queues.by_id.values(), key=_jobs)
        for row in largest:
            self._tracks[row.id] = TimeSeries()
        await self._in_steps(largest, lambda tx, row: self._remember(tx, row, (self._tracks[row.id], self._hub)))

    async def _sample(self) -> None:
        counts, self._counts = self._counts, {}
        new = self._spread(counts)
        await self._in_steps(new, lambda tx, row: self._remember(tx, row, (self._tracks[row.id],)))
        rows = self._tracked()
        await self._in_steps(rows, self._look)
        self._hub.gauge(Series.WAITING, sum(row.n[State.WAITING] for row in self._queues.by_id.values()))
        named = [self._queues.find(name) for name in self.uplinks]
        if named:
            self._lag.gauge(Series.OLDEST_MS, 0.0)
        await self._in_steps([row for row in named if row is not None], self._look_at_uplink)

    def _spread(self, counts: Counts) -> list[QueueRow]:
        """Give the counts to the tracks; the queues that got a new one."""
        now_s = self._now_ms() // 1000
        whole: dict[int, int] = {}
        given_up = iter(self._idle(now_s))
        new = []
        for (row, tally), n in counts.items():
            whole[tally] = whole.get(tally, 0) + n
            if row is None or row.id not in self._queues.by_id:
                continue
            track = self._tracks.get(row.id)
            if track is None and len(self._tracks) >= MAX_TRACKS:
                self._tracks.pop(next(given_up, -1), None)
            if track is None and len(self._tracks) < MAX_TRACKS:
                track = self._tracks[row.id] = TimeSeries()
                new.append(row)
            if track is not None:
                track.used_s = now_s
                track.count(tally, n)
        for tally, n in whole.items():
            self._hub.count(tally, n)
        self._sampling.mask = ONE_IN_EIGHT if whole.get(Tally.PULLED, 0) > MANY else 0
        return new

    def _idle(self, now_s: int) -> list[int]:
        """Ids of tracked queues that can do without, idle longest first; those of queues that are gone before all."""
        rows, idle = self._queues.by_id, []
        for id, track in self._tracks.items():
            if id not in rows:
                idle.append((0, id))
            elif not any(rows[id].n[:3]) and now_s - track.used_s >= IDLE_S:
                idle.append((track.used_s, id))
        return [id for _, id in sorted(idle)]

    def _tracked(self) -> list[QueueRow]:
        rows = self._queues.by_id
        return [rows[id] for id in self._tracks if id in rows]

    def _look(self, tx: Tx, row: QueueRow) -> None:
        track = self._tracks[row.id]
        age_ms = query.oldest_ms(tx, row) or 0
        track.gauge(Series.WAITING, row.n[State.WAITING])
        track.gauge(Series.OLDEST_MS, age_ms)
        self._hub.gauge(Series.OLDEST_MS, age_ms)

    def _look_at_uplink(self, tx: Tx, row: QueueRow) -> None:
        self._lag.gauge(Series.OLDEST_MS, query.oldest_ms(tx, row) or 0)

    def _turn(self, now_s: int) -> None:
        """Close the slots that are over. A clock that was put far back begins anew."""
        for at, level in enumerate(LEVELS):
            slot, now = self._slots[at], now_s // level.step_s
            if now == slot:
                continue
            everything = (self._hub, self._lag, *self._tracks.values())
            missed = range(max(slot + 1, now - level.slots) if now > slot else now - level.slots, now)
            for track in everything:
                track.close(at, slot)
                for each in missed:
                    track.clear(at, each)
            self._slots[at] = now

    def _remember(self, tx: Tx, row: QueueRow, tracks: Collection[TimeSeries]) -> None:
        """Put what the file knows of the last day into closed slots."""
        now = tx.now_ms // MINUTE_MS
        found = history.minutes(tx, row.id, now - DAY_S // 60, now)
        tx.after.append(lambda: self._fill(tracks, found))  # once: a verb may run twice

    def _fill(self, tracks: Collection[TimeSeries], found: Iterable[Mapping[int, int]]) -> None:
        for series, counts in zip((Series.COMPLETED, Series.FAILED), found, strict=True):
            for at, level in enumerate(LEVELS):
                oldest = self._slots[at] - level.slots
                begin = 60 * min(counts) // level.step_s if counts else self._slots[at]
                for track in tracks:
                    for slot in range(max(begin, oldest), self._slots[at]):
                        track.remember(at, slot, series, 0)
                for minute, n in counts.items():
                    slots = range(60 * minute // level.step_s, max(1, 60 // level.step_s) + 60 * minute // level.step_s)
                    for slot in slots:
                        if oldest <= slot < self._slots[at]:
                            for track in tracks:
                                track.remember(at, slot, series, n / len(slots))

    async def _in_steps(self, rows: Iterable[QueueRow], each: Callable[[Tx, QueueRow], None]) -> None:
        left = iter(list(rows))

        def step(tx: Tx) -> None:
            for row in part:
                if row.id in tx.queues.by_id:
                    each(tx, row)

        while part := list(islice(left, QUEUES_READ)):
            await self._run(step)

    # reading

    def past(self, span: str, queue: str | None = None) -> Past:
        """The closed slots of a span, oldest first; all unknown for a queue without a track."""
        at = SPANS.index(span)
        level = LEVELS[at]
        slots = self._slots or [self._now_ms() // 1000 // level.step_s for level in LEVELS]
        first, last = slots[at] - level.slots, slots[at] - 1
        row = None if queue is None else self._queues.find(queue)
        track = self._hub if queue is None else self._tracks.get(-1 if row is None else row.id)
        unknown: list[float | None] = [None] * (last - first + 1)

        def read(series: int, source: TimeSeries | None) -> list[float | None]:
            return unknown if source is None else source.recall(at, series, first, last)

        def rate(series: int) -> list[float | None]:
            return [None if n is None else n / level.step_s for n in read(series, track)]

        oldest = read(Series.OLDEST_MS, track)
        lag = oldest if queue in self.uplinks else unknown
        if queue is None:
            lag = read(Series.OLDEST_MS, self._lag)
        return Past(
            [slot * level.step_s for slot in range(first, last + 1)],
            rate(Series.ENQUEUED),
            rate(Series.COMPLETED),
            rate(Series.FAILED),
            read(Series.WAITING, track),
            oldest,
            read(Series.WAIT_P50_MS, track),
            read(Series.WAIT_P95_MS, track),
            read(Series.RUN_P50_MS, track),
            read(Series.RUN_P95_MS, track),
            lag,
        )

    def per_minute(self, row: QueueRow) -> PerMinute | None:
        """How much went through a queue in the last minute; None for one without a track."""
        track = self._tracks.get(row.id)
        if track is None or not self._slots:
            return None
        last = self._slots[SAMPLE] - 1
        slots = 60 // LEVELS[SAMPLE].step_s
        means = []
        for series in (Series.ENQUEUED, Series.COMPLETED, Series.FAILED):
            known = [n for n in track.recall(SAMPLE, series, last - slots + 1, last) if n is not None]
            means.append(slots * sum(known) / len(known) if known else 0.0)
        return PerMinute(*means)


def _jobs(row: QueueRow) -> int:
    return sum(row.n[:PRIORITIZED])
