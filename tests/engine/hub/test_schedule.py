"""Schedules in a hub: firing, overlap, limits, what was missed, and clocks that jump."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from hubqueue.errors import Invalid, NotFound, WrongState
from hubqueue.hub.verbs import schedule
from hubqueue.model.job import Options
from hubqueue.model.outcome import Complete
from hubqueue.model.schedule import Schedule

from .conftest import Bench

HOUR_MS = 3_600_000


async def put(bench: Bench, **fields: Any) -> Schedule:
    await bench.hub.upsert_schedule(Schedule(key="s", queue="q", **fields))
    return await found(bench)


async def found(bench: Bench) -> Schedule:
    return await bench.hub.run(lambda tx: schedule.get(tx, "s"))


async def fire(bench: Bench, *, served: bool = True) -> int:
    """One step of what is due, without waiting for the timer."""
    return await bench.hub.run(lambda tx: schedule.fire_due(tx, 50, lambda queue: served))


async def due_now(bench: Bench, ago_ms: int = 0) -> None:
    """Make the schedule due."""
    at = bench.hub.store.clock.now_ms() - ago_ms
    await bench.hub.run(lambda tx: tx.execute("UPDATE schedule SET next_run_at_ms = ?", (at,)))


async def test_an_interval_fires_by_itself_in_phase(bench: Bench) -> None:
    await put(bench, name="tick", data=b"\x07", every_ms=40)
    created = []
    for _ in range(3):
        await bench.later(39)
        assert await bench.take() == []
        await bench.later(1)
        (leased,) = await bench.hub.lease("q", owner="w", wait_ms=5000)
        created.append(leased.job.created_at_ms)
        assert (leased.job.name, leased.job.data) == ("tick", b"\x07")
        await bench.end(leased, Complete())
    assert [later - earlier for earlier, later in pairwise(created)] == [40, 40]
    await bench.hub.delete_schedule("s")
    with pytest.raises(NotFound, match="Cron job not found"):
        await bench.hub.delete_schedule("s")


async def test_a_pattern_with_seconds_fires_at_its_pace(bench: Bench) -> None:
    await put(bench, cron="* * * * * *")
    await bench.later(1000)
    (first,) = await bench.hub.lease("q", owner="w", wait_ms=5000)
    await bench.end(first, Complete())
    await bench.later(1000)
    (second,) = await bench.hub.lease("q", owner="w", wait_ms=5000)
    assert second.job.created_at_ms - first.job.created_at_ms == 1000


async def test_a_fire_waits_for_the_job_of_the_last_one(bench: Bench) -> None:
    await put(bench, every_ms=HOUR_MS)
    for expected in (1, 1):
        await due_now(bench)
        await fire(bench)
        assert (await bench.hub.counts("q")).waiting == expected
    await bench.end((await bench.take())[0], Complete())
    await due_now(bench)
    await fire(bench)
    assert (await bench.hub.counts("q")).waiting == 1
    assert (await found(bench)).runs == 3


async def test_with_overlap_every_fire_makes_a_job(bench: Bench) -> None:
    await put(bench, every_ms=HOUR_MS, overlap=True)
    for expected in (1, 2, 3):
        await due_now(bench)
        await fire(bench)
        assert (await bench.hub.counts("q")).waiting == expected


async def test_a_schedule_with_a_limit_ends(bench: Bench) -> None:
    await put(bench, every_ms=10, limit=2)
    for _ in range(2):
        await bench.later(10)
        (leased,) = await bench.hub.lease("q", owner="w", wait_ms=5000)
        await bench.end(leased, Complete())
    with pytest.raises(NotFound):
        await found(bench)


async def test_immediately_fires_at_once_but_not_again_when_it_is_put_again(bench: Bench) -> None:
    await put(bench, every_ms=HOUR_MS, immediately=True)
    assert len(await bench.hub.lease("q", owner="w", wait_ms=5000)) == 1
    again = await put(bench, every_ms=HOUR_MS, immediately=True)
    assert again.runs == 1
    assert (again.next_run_at_ms or 0) > bench.hub.store.clock.now_ms() + HOUR_MS // 2


async def test_the_options_of_its_jobs_are_those_of_the_schedule(bench: Bench) -> None:
    await put(bench, every_ms=10, priority=4, max_attempts=9, options=Options(tags=("x",)))
    await bench.later(10)
    (leased,) = await bench.hub.lease("q", owner="w", wait_ms=5000)
    assert (leased.job.priority, leased.job.max_attempts, leased.job.options.tags) == (4, 9, ("x",))


async def test_without_a_worker_a_schedule_for_workers_does_not_fire(bench: Bench) -> None:
    await put(bench, every_ms=HOUR_MS, worker_only=True)
    await due_now(bench)
    assert await fire(bench, served=False) == 1
    schedule_now = await found(bench)
    assert (schedule_now.runs, (await bench.hub.counts("q")).waiting) == (0, 0)
    assert (schedule_now.next_run_at_ms or 0) > bench.hub.store.clock.now_ms()


async def test_a_worker_that_asked_for_jobs_serves_its_queue(bench: Bench) -> None:
    assert not bench.hub.served("q")
    await bench.add("a")
    await bench.hub.lease("q", owner="w")
    assert bench.hub.served("q")


@pytest.mark.parametrize(("skip_missed", "jobs"), [(True, 0), (False, 1)])
async def test_what_was_missed_is_skipped_or_made_up_for_by_one_job(bench: Bench, skip_missed: bool, jobs: int) -> None:
    await put(bench, every_ms=60_000, skip_missed=skip_missed)
    await due_now(bench, ago_ms=10 * HOUR_MS)
    await bench.reopen()
    await bench.until(lambda: _is_ahead(bench))
    assert (await bench.hub.counts("q")).waiting == jobs


@pytest.mark.parametrize("step_ms", [24 * HOUR_MS, -24 * HOUR_MS, -HOUR_MS, HOUR_MS])
async def test_a_clock_that_jumps_neither_stalls_nor_doubles_a_schedule(bench: Bench, step_ms: int) -> None:
    await bench.hub.upsert_schedule(Schedule(key="i", queue="i", every_ms=20 * 60_000))
    await bench.hub.upsert_schedule(Schedule(key="c", queue="c", cron="*/30 * * * *"))
    before = {each.key: each.next_run_at_ms or 0 for each in await bench.hub.run(schedule.every)}
    await bench.hub.maintenance.stop()  # its beat would follow the clock too
    bench.clock.wrong_ms = step_ms
    jump_ms = bench.hub.store.clock.jump_ms()
    await bench.hub.maintenance._follow_clock()
    now = bench.hub.store.clock.now_ms()
    after = {each.key: each.next_run_at_ms or 0 for each in await bench.hub.run(schedule.every)}
    assert after["i"] == before["i"] + jump_ms
    if step_ms == -HOUR_MS:
        assert after["c"] == before["c"]  # a time of day that has come is not fired again
    else:
        assert now < after["c"] <= now + 30 * 60_000
    assert await fire(bench) == 0


async def test_a_bad_schedule_is_refused(bench: Bench) -> None:
    with pytest.raises(Invalid):
        await put(bench, cron="nonsense")
    with pytest.raises(NotFound):
        await found(bench)


async def _is_ahead(bench: Bench) -> bool:
    return ((await found(bench)).next_run_at_ms or 0) > bench.hub.store.clock.now_ms()


async def test_a_schedule_that_is_put_afresh_withdraws_the_job_it_has_queued(bench: Bench) -> None:
    spec = Schedule(key="k", queue="q", every_ms=60_000, immediately=True)
    await bench.hub.upsert_schedule(spec)
    await bench.until(lambda: bench.hub.store.queues.by_name.get("q") and bench.hub.store.queues.by_name["q"].n[0])
    await bench.hub.run(lambda tx: schedule.upsert(tx, spec))
    assert (await bench.hub.counts("q")).waiting == 1
    await bench.hub.run(lambda tx: schedule.upsert(tx, spec, afresh=True))
    assert (await bench.hub.counts("q")).waiting == 0


async def test_a_run_besides_leaves_the_next_fire_and_the_count_as_they_are(bench: Bench) -> None:
    before = await put(bench, every_ms=HOUR_MS, name="tick", data=b"\x07")
    id = await bench.hub.run(lambda tx: schedule.run_now(tx, "s"))
    job = await bench.hub.get(id)
    assert (job.queue, job.name, job.data) == ("q", "tick", b"\x07")
    assert await found(bench) == before


async def test_a_run_besides_is_refused_while_the_last_job_has_not_ended(bench: Bench) -> None:
    await put(bench, every_ms=HOUR_MS)
    await bench.hub.run(lambda tx: schedule.run_now(tx, "s"))
    with pytest.raises(WrongState, match="has not ended"):
        await bench.hub.run(lambda tx: schedule.run_now(tx, "s"))
    await put(bench, every_ms=HOUR_MS, overlap=True)
    await bench.hub.run(lambda tx: schedule.run_now(tx, "s"))
    assert (await bench.hub.counts("q")).waiting == 2


async def test_the_job_of_a_run_besides_holds_the_next_fire_back(bench: Bench) -> None:
    await put(bench, every_ms=HOUR_MS)
    await bench.hub.run(lambda tx: schedule.run_now(tx, "s"))
    await due_now(bench)
    await fire(bench)
    assert (await bench.hub.counts("q")).waiting == 1
