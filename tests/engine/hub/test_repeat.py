"""Repeated jobs: each completed run makes the next, exactly once and as often as was asked for."""

from __future__ import annotations

from typing import Any

import pytest

from hubqueue.hub.verbs import change
from hubqueue.model.job import Dedup, Job, Leased, Options
from hubqueue.model.outcome import Complete, Fail
from hubqueue.model.repeat import Repeat
from hubqueue.model.state import State

from .conftest import Bench


async def add(bench: Bench, repeat: Repeat, **options: Any) -> str:
    (id,) = await bench.add("r", options=Options(repeat=repeat, **options))
    return id


async def take_next(bench: Bench) -> Leased:
    await bench.until(lambda: bench.hub.store.queues.by_name["q"].n[State.WAITING])
    (leased,) = await bench.take()
    return leased


async def queued(bench: Bench) -> list[Job]:
    return (await bench.hub.list_jobs("q", (State.WAITING, State.DELAYED))).jobs


async def test_a_limit_of_three_means_three_runs(bench: Bench) -> None:
    await add(bench, Repeat(every_ms=5, limit=3))
    for count in range(3):
        await bench.later(5)
        leased = await take_next(bench)
        repeat = leased.job.options.repeat
        assert repeat is not None
        assert repeat.count == count
        await bench.end(leased, Complete())
    assert await queued(bench) == []


async def test_the_next_run_keeps_the_phase_of_the_one_before(bench: Bench) -> None:
    first = await bench.get(await add(bench, Repeat(every_ms=100_000)))
    await bench.end(await take_next(bench), Complete())
    (job,) = await queued(bench)
    assert job.run_at_ms == first.created_at_ms + 100_000
    assert (job.name, job.state) == ("r", State.DELAYED)


async def test_a_pattern_repeats_at_its_next_match(bench: Bench) -> None:
    await add(bench, Repeat(pattern="0 3 * * *"))
    await bench.end(await take_next(bench), Complete())
    (job,) = await queued(bench)
    assert job.run_at_ms % 86_400_000 == 3 * 3_600_000


async def test_nothing_is_repeated_beyond_its_end(bench: Bench) -> None:
    await add(bench, Repeat(every_ms=100_000, end_ms=bench.hub.now_ms() + 50_000))
    await bench.end(await take_next(bench), Complete())
    assert await queued(bench) == []


async def test_a_run_that_is_tried_again_makes_no_successor_and_a_dead_one_ends_the_chain(bench: Bench) -> None:
    await add(bench, Repeat(every_ms=1))
    leased = await take_next(bench)
    await bench.end(leased, Fail("no"))
    (job,) = await queued(bench)
    assert job.id == leased.job.id
    await bench.hub.run(lambda tx: change.discard(tx, job.id))
    assert await queued(bench) == []


@pytest.mark.parametrize("remove", [False, True], ids=["kept", "removed"])
async def test_the_successor_takes_the_deduplication_key_over(bench: Bench, *, remove: bool) -> None:
    first = await add(bench, Repeat(every_ms=60_000), dedup=Dedup("k", ttl_ms=600_000), remove_on_complete=remove)
    await bench.end(await take_next(bench), Complete())
    (successor,) = await queued(bench)
    assert successor.id != first
    assert await bench.add("x", options=Options(dedup=Dedup("k"))) == [successor.id]


async def test_a_completed_run_that_is_retried_makes_no_second_successor(bench: Bench) -> None:
    first = await add(bench, Repeat(every_ms=60_000))
    await bench.end(await take_next(bench), Complete())
    await bench.hub.retry(first)
    await bench.end(await take_next(bench), Complete())
    assert len(await queued(bench)) == 1


async def test_a_stopping_hub_still_makes_the_successor(bench: Bench) -> None:
    await add(bench, Repeat(every_ms=60_000))
    leased = await take_next(bench)
    bench.hub.drain_off()
    await bench.end(leased, Complete())
    assert len(await queued(bench)) == 1


def test_what_was_missed_is_not_made_up_for() -> None:
    repeat = Repeat(every_ms=100)
    assert repeat.next_interval_ms(1000, 1000) == 1100
    assert repeat.next_interval_ms(1000, 1555) == 1600
    assert repeat.next_interval_ms(1000, 900) == 1100
    assert Repeat(every_ms=100, start_ms=5000).next_interval_ms(1000, 1000) == 5000
