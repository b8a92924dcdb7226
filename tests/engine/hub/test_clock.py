"""Rule 19: the system clock jumps by a day, and no lease, delay, time to live or retention acts wrongly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hubqueue.hub import maintenance
from hubqueue.hub.hub import Hub
from hubqueue.hub.settings import HubSettings
from hubqueue.model.bounds import DAY_MS, QueueBounds
from hubqueue.model.job import Dedup, NewJob, Options
from hubqueue.model.outcome import Complete, Settlement
from hubqueue.model.schedule import Schedule
from hubqueue.model.state import State
from hubqueue.model.verbs import Renewal
from hubqueue.store import meta, schedules
from support.clock import RunningClock
from support.waiting import soon, until

HOUR_MS = 3_600_000
NEAR_MS = 60_000


SETTINGS = HubSettings(bounds=QueueBounds(keep_completed_ms=HOUR_MS), grace_s=3600)


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "RETENTION_BEATS", 1)
    monkeypatch.setattr(maintenance, "BEAT_S", 0.05)


@pytest.fixture
def clock() -> RunningClock:
    return RunningClock()


@pytest.fixture
async def hub(clock: RunningClock, tmp_path: Path) -> AsyncIterator[Hub]:
    async with await Hub.open(tmp_path / "hub.db", SETTINGS, system=clock.system) as hub:
        yield hub


async def _jump(hub: Hub, clock: RunningClock, by_ms: int) -> None:
    """Set the system clock, and wait until the hub has followed and done a beat of maintenance more."""
    clock.wrong_ms += by_ms
    await until(lambda: abs(hub.store.clock.jump_ms()) == 0)
    before = hub.store.groups
    await until(lambda: hub.store.groups > before + 1)
    await soon(hub.sync())


async def _near(hub: Hub, at_ms: int) -> bool:
    return abs(at_ms - hub.now_ms()) < NEAR_MS


@pytest.mark.parametrize("days", [[1, -1], [-1, 1], [1, 1, -2]])
async def test_a_jump_by_days_changes_nothing_that_was_counted_from_now(
    days: list[int], hub: Hub, clock: RunningClock
) -> None:
    (leased_id,) = await hub.enqueue("leased", [NewJob()])
    (leased,) = await hub.lease("leased", owner="w", lease_ms=60_000)
    (done_id,) = await hub.enqueue("done", [NewJob()])
    (done,) = await hub.lease("done", owner="w")
    await hub.settle([Settlement(done.job.id, done.token, Complete())])
    (delayed,) = await hub.enqueue("delayed", [NewJob(delay_ms=HOUR_MS)])
    (mortal,) = await hub.enqueue("mortal", [NewJob(options=Options(ttl_ms=HOUR_MS))])
    keyed = NewJob(options=Options(dedup=Dedup(key="k", ttl_ms=HOUR_MS)))
    (first,) = await hub.enqueue("keyed", [keyed])
    await hub.upsert_schedule(Schedule(key="s", queue="scheduled", every_ms=HOUR_MS))
    for by in days:
        await _jump(hub, clock, by * DAY_MS)
        assert await _near(hub, clock.system.wall_ms())
        job = await hub.get(leased_id)
        assert (job.state, job.attempts, job.stall_count) == (State.ACTIVE, 0, 0)
        assert job.deadline_ms is not None
        assert 0 < job.deadline_ms - hub.now_ms() <= 60_000
        assert await hub.extend([(leased_id, leased.token)]) == [Renewal.RENEWED]
        job = await hub.get(delayed)
        assert job.state is State.DELAYED
        assert await _near(hub, job.run_at_ms - HOUR_MS)
        assert (await hub.get(mortal)).state is State.WAITING
        assert await hub.enqueue("keyed", [keyed]) == [first]
        assert (await hub.get(done_id)).state is State.COMPLETED
        next_ms = await hub.run(schedules.next_ms)
        assert next_ms is not None
        assert await _near(hub, next_ms - HOUR_MS)
        assert (await hub.counts("scheduled")).waiting == 0


async def test_a_time_of_day_stays_when_the_clock_jumps(hub: Hub, clock: RunningClock) -> None:
    at_ms = hub.now_ms() + DAY_MS // 2
    (id,) = await hub.enqueue("q", [NewJob(run_at_ms=at_ms)])
    await _jump(hub, clock, -DAY_MS)
    job = await hub.get(id)
    assert (job.state, job.run_at_ms) == (State.DELAYED, at_ms)
    await _jump(hub, clock, 2 * DAY_MS)  # half a day beyond it
    await until(lambda: _waits(hub))
    assert (await hub.get(id)).run_at_ms == at_ms


async def _waits(hub: Hub) -> bool:
    return (await hub.counts("q")).waiting == 1


async def test_the_order_is_kept_under_load_while_the_clock_jumps_forward_and_back(
    hub: Hub, clock: RunningClock
) -> None:
    added = 0
    stop = asyncio.Event()

    async def enqueue() -> None:
        nonlocal added
        while not stop.is_set():
            await hub.enqueue("q", [NewJob(name=f"n{number}") for number in range(added, added + 3)])
            added += 3
            await asyncio.sleep(0)

    load = asyncio.create_task(enqueue())
    for by_ms in (DAY_MS, -DAY_MS, -DAY_MS, DAY_MS):
        before = added
        await until(lambda: added > before + 100)  # noqa: B023
        await _jump(hub, clock, by_ms)
    stop.set()
    await load
    taken: list[str] = []
    while leased := await hub.lease("q", 1000, owner="w"):
        taken += [each.job.name for each in leased]
    assert taken == [f"n{number}" for number in range(added)]


async def test_age_deletes_nothing_for_a_while_after_a_jump(hub: Hub, clock: RunningClock) -> None:
    (id,) = await hub.enqueue("q", [NewJob()])
    (leased,) = await hub.lease("q", owner="w")
    await hub.settle([Settlement(id, leased.token, Complete())])
    await _jump(hub, clock, DAY_MS)
    for _ in range(3):
        before = hub.store.groups
        await until(lambda: hub.store.groups > before)  # noqa: B023
        assert (await hub.get(id)).state is State.COMPLETED


async def test_a_start_in_the_past_goes_on_from_the_last_time_the_file_has_seen(
    tmp_path: Path, clock: RunningClock
) -> None:
    path = tmp_path / "hub.db"
    async with await Hub.open(path, SETTINGS, system=clock.system) as hub:
        await hub.enqueue("q", [NewJob(name="before"), NewJob(name="leased", priority=1)])
        (leased,) = await hub.lease("q", owner="w", lease_ms=60_000)
        (delayed,) = await hub.enqueue("later", [NewJob(delay_ms=HOUR_MS)])
        last_ms = hub.now_ms()
    clock.wrong_ms = -DAY_MS  # no battery: the clock begins somewhere in the past
    async with await Hub.open(path, SETTINGS, system=clock.system) as hub:
        assert hub.now_ms() >= last_ms
        await _jump(hub, clock, 0)
        await hub.enqueue("q", [NewJob(name="in the past")])
        assert await hub.extend([(leased.job.id, leased.token)]) == [Renewal.RENEWED]
        await _jump(hub, clock, DAY_MS)  # the network has told the time
        await hub.enqueue("q", [NewJob(name="after")])
        assert await hub.extend([(leased.job.id, leased.token)]) == [Renewal.RENEWED]
        assert await _near(hub, (await hub.get(delayed)).run_at_ms - HOUR_MS)
        names = [each.job.name for each in await hub.lease("q", 10, owner="w")]
        assert names == ["before", "in the past", "after"]


async def test_a_clock_that_is_a_little_off_is_left_alone(hub: Hub, clock: RunningClock) -> None:
    clock.wrong_ms = 1500
    before_ms = hub.now_ms()
    groups = hub.store.groups
    await until(lambda: hub.store.groups > groups + 1)
    assert hub.now_ms() - before_ms < 60_000
    assert hub.store.clock.jump_ms() == 0
    assert abs(clock.system.wall_ms() - hub.now_ms() - 1500) < 500


async def test_after_a_jump_back_the_stored_time_is_the_new_one_at_once(hub: Hub, clock: RunningClock) -> None:
    """Else a hub that is killed now would take the difference for another jump, and shift everything twice."""
    await hub.enqueue("q", [NewJob(delay_ms=HOUR_MS)])
    await _jump(hub, clock, -DAY_MS)
    stored_ms, _ = await hub.run(lambda tx: meta.stored_time(tx.db))
    assert await _near(hub, stored_ms)
