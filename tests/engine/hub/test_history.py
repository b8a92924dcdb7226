"""The history of a hub: samples, rings of growing steps, what the file remembers, and its bounds."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

import pytest

from hubqueue.client.local import LocalHub
from hubqueue.hub import history as module
from hubqueue.hub.history import MAX_TRACKS, SPANS, History
from hubqueue.hub.metrics import MINUTE_MS
from hubqueue.hub.timeseries import LEVELS, Series, TimeSeries
from hubqueue.model.histogram import BUCKETS
from hubqueue.model.job import NewJob
from hubqueue.model.outcome import Complete, Fail
from hubqueue.store import metrics as store_metrics
from hubqueue.store.queues import QueueRow
from hubqueue.store.tx import Sampling, Tally
from hubqueue.system import System
from support.waiting import until

from .conftest import Bench

STEP_MS: Final = LEVELS[0].step_s * 1000


def known(value: float | None) -> float:
    assert value is not None
    return value


class Told:
    """The history of a hub whose maintenance rests, and whose clock the test turns."""

    def __init__(self, hub: LocalHub) -> None:
        self.hub = hub
        self.now_ms = hub.now_ms() // 3_600_000 * 3_600_000
        hub.history._now_ms = lambda: self.now_ms

    @property
    def history(self) -> History:
        return self.hub.history

    async def beat(self, *, steps: int = 1) -> None:
        """So many samples, a step apart."""
        for _ in range(steps):
            self.now_ms += STEP_MS
            await self.history.beat()


@pytest.fixture
async def told(bench: Bench) -> Told:
    await bench.hub.maintenance.stop()
    return Told(bench.hub)


async def test_what_goes_through_is_in_the_history_of_its_queue_and_of_the_hub(bench: Bench, told: Told) -> None:
    await told.beat()
    await bench.add(*"abcdefghij", max_attempts=1)
    await bench.add("x", queue="other")
    leased = await bench.take(5)
    for each in leased[:4]:
        await bench.end(each, Complete())
    await bench.end(leased[4], Fail("no"))
    await told.beat()
    past = told.history.past("15m", "q")
    assert (past.enqueued[-1], past.completed[-1], past.failed[-1]) == pytest.approx((1.0, 0.4, 0.1))
    assert past.waiting[-1] == 5
    assert 0 <= known(past.oldest_ms[-1]) < 60_000
    assert known(past.wait_p95_ms[-1]) >= known(past.wait_p50_ms[-1])
    assert known(past.run_p95_ms[-1]) >= 0
    assert past.lag_ms[-1] is None
    whole = told.history.past("15m")
    assert whole.enqueued[-1] == pytest.approx(1.1)
    assert whole.waiting[-1] == 6
    assert past.enqueued[-2] is None  # nothing was known before
    assert past.times[-1] == told.now_ms // 1000 - LEVELS[0].step_s
    assert len(past.times) == len(past.enqueued) == len(past.lag_ms) == LEVELS[0].slots


async def test_a_queue_row_says_what_went_through_in_a_minute(bench: Bench, told: Told) -> None:
    await told.beat()
    for _ in range(6):
        await bench.add("a", "b")
        await told.beat()
    row = bench.hub.store.queues.by_name["q"]
    assert told.history.per_minute(row) == pytest.approx((12.0, 0.0, 0.0))
    await told.beat(steps=6)
    assert told.history.per_minute(row) == (0.0, 0.0, 0.0)
    assert told.history.per_minute(QueueRow(99, "unknown")) is None


async def test_longer_spans_are_means_and_the_most_of_their_samples(bench: Bench, told: Told) -> None:
    await told.beat()
    ids = await bench.add(*"abcdef")
    await told.beat()
    for id in ids[1:]:
        await bench.hub.cancel(id)
    await told.beat(steps=LEVELS[3].step_s // LEVELS[0].step_s)
    for at, span in enumerate(SPANS):
        past = told.history.past(span, "q")
        rates = [n for n in past.enqueued if n]
        if span != "15m":  # that is over
            assert rates == [pytest.approx(6 / LEVELS[at].step_s)], span
            assert max(n for n in past.waiting if n is not None) == 6, span
        assert len(past.times) == LEVELS[at].slots
        assert {b - a for a, b in zip(past.times, past.times[1:], strict=False)} == {LEVELS[at].step_s}


async def test_time_without_samples_is_unknown(bench: Bench, told: Told) -> None:
    await told.beat()
    await bench.add("a")
    await told.beat()
    told.now_ms += 5 * STEP_MS
    await told.history.beat()
    there = [n is not None for n in told.history.past("15m", "q").enqueued]
    assert there[-7:] == [False, True, True, *[False] * 4]
    told.now_ms += 3 * 86_400_000  # longer than all
    await told.history.beat()
    for span in SPANS:
        assert set(told.history.past(span, "q").enqueued) == {None}


async def test_a_clock_put_far_back_begins_anew(bench: Bench, told: Told) -> None:
    await told.beat()
    await bench.add("a")
    await told.beat()
    told.now_ms -= 86_400_000
    await told.history.beat()
    assert set(told.history.past("15m", "q").waiting) == {None}
    await told.beat()
    assert told.history.past("15m", "q").waiting[-1] == 1


async def test_the_lag_is_the_oldest_age_of_forwarded_queues(bench: Bench, told: Told) -> None:
    told.history.uplinks |= {"up", "down", "never"}
    await told.beat()
    await bench.add("a", queue="up")
    await bench.add("b", queue="q")
    await told.beat()
    lag_ms = known(told.history.past("15m").lag_ms[-1])
    assert lag_ms - known(told.history.past("15m", "up").lag_ms[-1]) == pytest.approx(0, abs=1000)
    assert told.history.past("15m", "q").lag_ms[-1] is None


async def test_no_forwarders_have_no_lag(told: Told) -> None:
    await told.beat(steps=2)
    assert told.history.past("15m").lag_ms[-1] is None


async def test_minutes_in_the_file_are_the_history_from_before(bench: Bench) -> None:
    await bench.add("a")
    row = bench.hub.store.queues.by_name["q"]
    minute = bench.hub.now_ms() // MINUTE_MS
    await bench.hub.run(
        lambda tx: store_metrics.add(
            tx, [(row.id, store_metrics.COMPLETED, minute - ago, 60) for ago in (2, 3, 400, 3000)]
        )
    )
    history = History(bench.hub.store.queues, bench.hub.store.run, bench.hub.now_ms, Sampling())
    await history.beat()
    for queue in ("q", None):
        day, quarter = history.past("24h", queue), history.past("15m", queue)
        assert sum(n or 0 for n in day.completed) * LEVELS[3].step_s in (60, 120, 180)  # the open slot is not shown
        assert quarter.completed.count(1.0) == 12  # two minutes of a job a second
        assert day.completed[0] is None  # nobody knows whether there was anything before the first
        assert set(day.enqueued) == {None}


async def test_a_hub_samples_by_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fast_ns() -> int:
        return time.monotonic_ns() * 10

    async with await LocalHub.open(tmp_path / "h.db", system=System(wall_ns=fast_ns, mono_ns=fast_ns)) as hub:
        await hub.enqueue("q", [NewJob()])
        await until(lambda: any(hub.history.past("15m", "q").enqueued))


async def test_memory_is_bounded_and_busy_queues_keep_their_tracks(bench: Bench, told: Told) -> None:
    await told.beat()
    for n in range(MAX_TRACKS + 50):
        await bench.add("a", queue=f"q{n}")
    await told.beat()
    assert len(told.history._tracks) == MAX_TRACKS
    tracks = sum(size_of(track) for track in told.history._tracks.values())
    assert tracks < 2 * 1024 * 1024
    assert told.history.past("15m", "q3").waiting[-1] == 1
    assert set(told.history.past("15m", f"q{MAX_TRACKS + 5}").waiting) == {None}
    assert told.history.past("15m").waiting[-1] == MAX_TRACKS + 50  # they count for the hub

    for n in range(10):  # ten queues are empty for long: their tracks are for others
        await bench.hub.drain(f"q{n}")
    told.now_ms += (module.IDLE_S + 20) * 1000
    await told.history.beat()
    for n in range(5):
        await bench.add("a", queue=f"late{n}")
    await told.beat(steps=2)
    assert told.history.past("15m", "late4").waiting[-1] == 1
    assert len(told.history._tracks) == MAX_TRACKS
    assert told.history.past("15m", "q50").waiting[-1] == 1


def size_of(track: TimeSeries) -> int:
    return track.__sizeof__() + sum(part.__sizeof__() for part in (track._ring, track._open, track._times))


async def test_an_obliterated_queue_leaves_no_history(bench: Bench, told: Told) -> None:
    await told.beat()
    await bench.add("a")
    await told.beat()
    await bench.hub.obliterate("q")
    await told.beat()
    assert set(told.history.past("15m", "q").waiting) == {None}
    await bench.add("b")
    await told.beat()
    assert [n for n in told.history.past("15m", "q").enqueued if n] == [pytest.approx(0.1)]


async def test_counts_of_very_many_queues_are_summed(bench: Bench, told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_COUNTS", 3)
    await told.beat()
    for n in range(10):
        await bench.add("a", queue=f"q{n}")
    await told.beat()
    assert told.history.past("15m").enqueued[-1] == pytest.approx(1.0)


async def test_at_high_rates_the_times_of_one_job_in_eight_are_taken(
    bench: Bench, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MANY", 3)
    await told.beat()
    await bench.add(*"abcdefgh")
    await bench.take(4)
    await told.beat()
    assert bench.hub.store.tx.sampling.mask == module.ONE_IN_EIGHT
    await told.beat()
    assert bench.hub.store.tx.sampling.mask == 0


def test_a_slot_has_the_quantiles_of_its_times() -> None:
    track = TimeSeries()
    for ms, n in ((1, 90), (1000, 10)):
        track.count(Tally.WAITED + ms.bit_length(), n)
        track.count(Tally.RAN + ms.bit_length(), n)
    track.close(0, 7)
    (median,) = track.recall(0, Series.WAIT_P50_MS, 7, 7)
    (high,) = track.recall(0, Series.RUN_P95_MS, 7, 7)
    assert 1 <= known(median) <= 2
    assert 512 <= known(high) <= 1024
    assert Tally.RAN == Tally.WAITED + BUCKETS
