"""The local side of a forwarder over a real hub: what is held, settled, taken back after a kill; the floor."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from hubqueue.forward.leases import Leases
from hubqueue.hub.hub import Hub
from hubqueue.model.job import Leased, NewJob
from hubqueue.model.outcome import Complete, Outcome, Reject, Release, Settlement
from hubqueue.model.state import State

QUEUE = "readings"


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    async with await Hub.open(tmp_path / "edge.db") as hub:
        yield hub


def leases_of(hub: Hub) -> Leases:
    return Leases(hub, QUEUE, "forward:readings:tcp://central", 30_000)


def ends(jobs: Sequence[Leased], outcome: Outcome) -> list[Settlement]:
    return [Settlement(leased.job.id, leased.token, outcome) for leased in jobs]


async def add(hub: Hub, count: int) -> list[str]:
    return await hub.enqueue(QUEUE, [NewJob() for _ in range(count)])


async def test_what_is_taken_is_held_until_it_is_settled(hub: Hub) -> None:
    await add(hub, 3)
    leases = leases_of(hub)
    jobs = await leases.take(10, 0)
    assert (len(jobs), leases.count) == (3, 3)
    await leases.settle(ends(jobs, Complete()))
    assert leases.count == 0
    assert (await hub.counts(QUEUE)).completed == 3


async def test_a_lost_lease_does_not_keep_the_others_from_their_end(hub: Hub) -> None:
    await add(hub, 5)
    leases = leases_of(hub)
    jobs = await leases.take(5, 0)
    await hub.settle(ends(jobs[2:3], Release()))
    (taken,) = await hub.lease(QUEUE, 1, owner="somebody")
    await leases.settle(ends(jobs, Complete()))
    counts = await hub.counts(QUEUE)
    assert (counts.completed, counts.active) == (4, 1)
    assert (await hub.get(taken.job.id)).owner == "somebody"
    assert leases.count == 0


async def test_released_jobs_keep_their_place_and_count_nothing(hub: Hub) -> None:
    ids = await add(hub, 5)
    leases = leases_of(hub)
    await leases.release(await leases.take(3, 0))
    jobs = await leases.take(5, 0)
    assert [leased.job.id for leased in jobs] == ids
    assert {leased.job.attempts for leased in jobs} == {0}


async def test_leases_of_a_killed_run_are_taken_back_in_their_place(tmp_path: Path) -> None:
    hub = await Hub.open(tmp_path / "edge.db")
    ids = await add(hub, 6)
    await leases_of(hub).take(3, 0)
    await hub.close()
    async with await Hub.open(tmp_path / "edge.db") as again:
        jobs = await leases_of(again).take(6, 0)
        assert [leased.job.id for leased in jobs] == ids
        assert {(leased.job.attempts, leased.job.lost_count) for leased in jobs} == {(0, 0)}


async def test_leases_of_other_workers_are_left_alone(hub: Hub) -> None:
    ids = await add(hub, 2)
    await hub.lease(QUEUE, 1, owner="somebody")
    assert [leased.job.id for leased in await leases_of(hub).take(2, 0)] == ids[1:]


async def test_the_floor_is_below_everything_that_may_still_be_sent(hub: Hub) -> None:
    leases = leases_of(hub)
    assert await leases.floor() is None
    await add(hub, 4)
    leases = leases_of(hub)
    dead, done, *_ = jobs = await leases.take(3, 0)
    await leases.settle([*ends([dead], Reject("too large")), *ends([done], Complete())])
    assert await leases_of(hub).floor() == dead.job.seq
    await hub.purge(QUEUE)
    assert await leases_of(hub).floor() == jobs[2].job.seq


async def test_the_floor_waits_for_a_delayed_job(hub: Hub) -> None:
    (delayed,) = await hub.enqueue(QUEUE, [NewJob(delay_ms=60_000)])
    await add(hub, 3)
    assert await leases_of(hub).floor() == (await hub.get(delayed)).seq


async def test_a_job_of_higher_priority_does_not_raise_the_floor(hub: Hub) -> None:
    (low,) = await hub.enqueue(QUEUE, [NewJob(priority=-5)])
    await hub.enqueue(QUEUE, [NewJob(priority=9)])
    page = await hub.list_jobs(QUEUE, [State.WAITING], limit=1)
    assert page.jobs[0].id == low
    assert await leases_of(hub).floor() == page.jobs[0].seq
