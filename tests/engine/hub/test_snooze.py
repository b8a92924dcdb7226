"""snooze: a queued job waits until a time."""

from __future__ import annotations

import asyncio

import pytest

from hubqueue.errors import Invalid, NotFound, WrongState
from hubqueue.model.job import Flag, Options
from hubqueue.model.outcome import Complete, Reject
from hubqueue.model.state import State
from hubqueue.model.verbs import Event

from .conftest import Bench


async def test_snooze_lets_a_queued_job_wait_and_counts_nothing(bench: Bench) -> None:
    waiting, delayed = [*await bench.add("a"), *await bench.add("b", delay_ms=60_000)]
    now = bench.hub.now_ms()
    await bench.hub.snooze(waiting, delay_ms=3_600_000)
    await bench.hub.snooze(delayed, until_ms=now + 7_200_000)
    later, then = await bench.get(waiting), await bench.get(delayed)
    assert (later.state, later.attempts, later.run_at_ms >= now + 3_600_000) == (State.DELAYED, 0, True)
    assert (then.state, then.attempts, then.run_at_ms) == (State.DELAYED, 0, now + 7_200_000)
    assert await bench.take_names() == []
    await bench.hub.snooze(delayed, until_ms=now - 1)
    await bench.hub.snooze(waiting, delay_ms=0)
    assert (await bench.get(delayed)).run_at_ms >= now
    assert sorted(await bench.take_names()) == ["a", "b"]
    await bench.check_counters()


async def test_a_jump_of_the_clock_leaves_the_time_that_was_named(bench: Bench) -> None:
    named, counted = await bench.add("a", "b")
    then = bench.hub.now_ms() + 7_200_000
    await bench.hub.snooze(named, until_ms=then)
    assert (await bench.get(named)).flags & Flag.ABSOLUTE
    await bench.hub.snooze(named, delay_ms=7_200_000)
    assert not (await bench.get(named)).flags & Flag.ABSOLUTE
    await bench.hub.snooze(counted, delay_ms=7_200_000)
    assert not (await bench.get(counted)).flags & Flag.ABSOLUTE


async def test_snooze_wakes_who_waits_for_a_job_that_may_run_now(bench: Bench) -> None:
    (id,) = await bench.add("a", delay_ms=60_000)
    waiting = asyncio.create_task(bench.hub.lease("q", owner="w", wait_ms=10_000))
    await asyncio.sleep(0)
    await bench.hub.snooze(id, delay_ms=0)
    assert [each.job.id for each in await waiting] == [id]


async def test_snooze_names_the_job_that_it_refuses(bench: Bench) -> None:
    with pytest.raises(NotFound, match="Job 'nobody' not found"):
        await bench.hub.snooze("nobody", delay_ms=1)
    (id,) = await bench.add("a")
    for times in ({}, {"until_ms": 1, "delay_ms": 1}):
        with pytest.raises(Invalid, match="one of until and delay"):
            await bench.hub.snooze(id, **times)
    (parent,) = await bench.add("p", queue="other", options=Options(depends_on=(id,)))
    (leased,) = await bench.take()
    for job, state in ((id, "active"), (parent, "waiting-children")):
        with pytest.raises(WrongState, match=f"Job '{job}' is {state} and cannot be snoozed"):
            await bench.hub.snooze(job, delay_ms=1)
    await bench.end(leased, Reject("no"))
    with pytest.raises(WrongState, match=f"Job '{id}' is failed"):
        await bench.hub.snooze(id, delay_ms=1)
    (id,) = await bench.add("b")
    (leased,) = await bench.take()
    await bench.end(leased, Complete())
    with pytest.raises(WrongState, match=f"Job '{id}' is completed"):
        await bench.hub.snooze(id, until_ms=1)


@pytest.mark.parametrize("end", [{"keep_trying_ms": 60_000}, {"ttl_ms": 60_000}])
async def test_no_job_is_snoozed_beyond_its_end(bench: Bench, end: dict[str, int]) -> None:
    (id,) = await bench.add("a", options=Options(**end))
    before = await bench.get(id)
    for wish in ({"delay_ms": 61_000}, {"until_ms": bench.hub.now_ms() + 61_000}):
        with pytest.raises(Invalid, match=f"Job '{id}' ends before that time"):
            await bench.hub.snooze(id, **wish)
    assert await bench.get(id) == before
    await bench.hub.snooze(id, delay_ms=30_000)
    assert (await bench.get(id)).state is State.DELAYED


async def test_only_what_waits_is_told_as_delayed(bench: Bench) -> None:
    events: list[Event] = []
    await bench.hub.subscribe("q", events.append)
    (id,) = await bench.add("a")
    await bench.hub.snooze(id, until_ms=1)
    await bench.hub.snooze(id, delay_ms=60_000)
    assert [event.delay_ms for event in events if event.kind == "delayed"] == [60_000]
