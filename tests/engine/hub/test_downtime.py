"""Rule 52: the time in which the hub does not run is nobody's loss, but a job that takes it down every time ends."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

import pytest

from hubqueue.client.local import LocalHub
from hubqueue.hub.pulse import BEAT_S, MISSED_S, Pulse
from hubqueue.hub.verbs.lapse import MAX_LOST, MAX_RESTARTS
from hubqueue.model.bounds import QueueBounds
from hubqueue.model.job import Leased, Options
from hubqueue.model.outcome import Complete
from hubqueue.model.state import State
from hubqueue.model.verbs import Renewal
from support.child import puppet
from support.waiting import until

from .conftest import Bench

GRACE_MS = 200  # of the fixture
DOWN_MS = 3_600_000


async def _go_down(bench: Bench, *, grace: bool = True) -> None:
    """An hour without the hub; then nobody comes back within the grace."""
    await bench.hub.close()
    bench.clock.at_ms += DOWN_MS
    await bench.open()
    if grace:
        await bench.later(GRACE_MS)


async def _is(bench: Bench, id: str, state: State) -> bool:
    return (await bench.get(id)).state is state


async def _counted(bench: Bench, id: str) -> tuple[int, int, int]:
    job = await bench.get(id)
    return job.attempts, job.stall_count, job.lost_count


@pytest.mark.parametrize("owner", ["w", None], ids=["owner", "nobody"])
@pytest.mark.parametrize("options", [{}, {"max_attempts": 1}, {"options": Options(timeout_ms=1000)}], ids=str)
async def test_a_job_that_was_active_while_the_hub_was_down_counts_nothing(
    bench: Bench, owner: str | None, options: dict[str, Any]
) -> None:
    (id,) = await bench.add("a", **options)
    for _ in range(MAX_RESTARTS - 1):
        await bench.take(owner=owner)
        await _go_down(bench)
        await bench.until(lambda: _is(bench, id, State.WAITING))
        assert await _counted(bench, id) == (0, 0, 0)


async def test_a_job_with_which_the_hub_goes_down_every_time_is_a_dead_letter(bench: Bench) -> None:
    (id,) = await bench.add("a")
    for _ in range(MAX_RESTARTS):
        await bench.until(lambda: _is(bench, id, State.WAITING))
        await bench.take()
        await _go_down(bench)
    await bench.until(lambda: _is(bench, id, State.FAILED))
    job = await bench.get(id)
    assert (job.history.reason, job.history.error) == (
        "hub_restarted",
        "The hub went down 5 times while this job was active",
    )
    assert await _counted(bench, id) == (0, 0, 0)
    # somebody who tries it again gives it all its tries
    await bench.hub.retry(id)
    await bench.take()
    await _go_down(bench)
    await bench.until(lambda: _is(bench, id, State.WAITING))


async def test_an_owner_that_comes_back_every_time_goes_on_for_ever(bench: Bench) -> None:
    (id,) = await bench.add("a")
    (leased,) = await bench.take(lease_ms=1000)
    for _ in range(2 * MAX_RESTARTS):
        await _go_down(bench, grace=False)
        await bench.later(GRACE_MS - 1)
        assert await bench.hub.extend([(id, leased.token)]) == [Renewal.RENEWED]
        await bench.later(1)
    await bench.end(leased, Complete())
    assert await _counted(bench, id) == (0, 0, 0)


async def test_a_connection_that_broke_with_the_hub_is_no_loss_of_the_worker(bench: Bench) -> None:
    (id,) = await bench.add("a", max_attempts=1)
    holder = bench.hub.holder()
    handed: list[list[Leased]] = []
    bench.hub.lease_or_park("q", 1, "w", 30_000, 0, holder, handed.append)
    await until(lambda: bool(handed))
    bench.hub.lose(holder)
    await _go_down(bench)
    await bench.until(lambda: _is(bench, id, State.WAITING))
    assert await _counted(bench, id) == (0, 0, 0)


async def test_a_connection_that_a_hub_cuts_when_it_stops_is_no_loss_of_the_worker(bench: Bench) -> None:
    (id,) = await bench.add("a", max_attempts=1)
    holder = bench.hub.holder()
    handed: list[list[Leased]] = []
    bench.hub.lease_or_park("q", 1, "w", 30_000, 0, holder, handed.append)
    await until(lambda: bool(handed))
    bench.hub.drain_off()
    bench.hub.lose(holder)
    await bench.later(GRACE_MS)  # its running work takes longer than that to end
    await bench.until(lambda: _is(bench, id, State.WAITING))
    assert await _counted(bench, id) == (0, 0, 0)


async def test_a_worker_that_is_lost_is_counted_in_good_words(bench: Bench) -> None:
    (once,) = await bench.add("a", max_attempts=1)
    (often,) = await bench.add("b")
    for _ in range(MAX_LOST):
        holder = bench.hub.holder()
        handed: list[list[Leased]] = []
        bench.hub.lease_or_park("q", 2, "w", 30_000, 0, holder, handed.append)
        await until(lambda: bool(handed))  # noqa: B023
        bench.hub.lose(holder)
        await bench.later(GRACE_MS)
        await bench.until(lambda: _nobody_works(bench))
    errors = [(await bench.get(id)).history.error for id in (once, often)]
    assert errors == ["The worker's connection was lost 1 time", "The worker's connection was lost 3 times"]


async def _nobody_works(bench: Bench) -> bool:
    return (await bench.hub.counts("q")).active == 0


async def test_the_grace_begins_when_workers_can_reach_the_hub(bench: Bench) -> None:
    (id,) = await bench.add("a")
    (leased,) = await bench.take(lease_ms=1000)
    await bench.hub.close()
    bench.hub = await LocalHub.open(bench.path, bench.settings, reachable=False, system=bench.clock.system)
    await bench.later(12_000)  # a slow machine: libraries are loaded
    (new,) = await bench.add("b")
    (taken,) = await bench.take(lease_ms=60_000)  # by a worker that was quick
    groups = bench.hub.store.groups
    await bench.until(lambda: bench.hub.store.groups > groups)
    assert await _is(bench, id, State.ACTIVE)
    await bench.hub.begin_grace()
    await bench.later(GRACE_MS - 1)
    assert await _is(bench, id, State.ACTIVE)
    assert await bench.hub.extend([(id, leased.token)]) == [Renewal.RENEWED]
    await bench.later(1)
    await bench.end(taken, Complete())
    await bench.end(leased, Complete())
    assert {(await bench.get(each)).state for each in (id, new)} == {State.COMPLETED}


async def test_a_start_that_is_cut_off_counts_no_restart(bench: Bench) -> None:
    (id,) = await bench.add("a")
    await bench.take()
    for _ in range(2 * MAX_RESTARTS):
        await _go_down(bench, grace=False)  # down again before the grace is over: nobody has run the job
    await bench.later(GRACE_MS)
    await bench.until(lambda: _is(bench, id, State.WAITING))


async def test_where_the_queue_says_so_restarts_count_nothing_however_often(bench: Bench) -> None:
    bench.settings = type(bench.settings)(grace_s=GRACE_MS / 1000, queues={"q": QueueBounds(count_lost=False)})
    await bench.reopen()
    (id,) = await bench.add("a")
    for _ in range(MAX_RESTARTS + 1):
        await bench.take()
        await _go_down(bench)
        await bench.until(lambda: _is(bench, id, State.WAITING))


@pytest.mark.parametrize("blames", [False, True])
async def test_leases_of_a_part_of_the_hub_are_taken_back_and_only_handlers_are_blamed(
    bench: Bench, blames: bool
) -> None:
    (id,) = await bench.add("a", max_attempts=1)
    for _ in range(MAX_RESTARTS):
        await bench.take(owner="part")
        await _go_down(bench, grace=False)
        assert await bench.hub.reclaim("q", "part", blames=blames) == 1
    job = await bench.get(id)
    assert job.state is (State.FAILED if blames else State.WAITING)
    assert await _counted(bench, id) == (0, 0, 0)


class _Loop:
    """Of a loop the time only."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def time(self) -> float:
        return self.now_s

    def call_later(self, delay_s: float, call: Any) -> None:
        return None


def test_a_pulse_tells_once_what_it_missed() -> None:
    loop = _Loop()
    pulse = Pulse(loop)  # type: ignore[arg-type]
    for _ in range(100):  # a loop that turns, if not quickly
        loop.now_s += BEAT_S + MISSED_S - 0.01
        pulse.start()
    assert pulse.missed_ms() == 0
    loop.now_s += 60
    pulse.start()
    loop.now_s += 1
    assert pulse.missed_ms() == 60_000
    assert pulse.missed_ms() == 0


async def test_a_hub_that_is_stopped_for_a_while_takes_no_lease_away(tmp_path: Path) -> None:
    async with puppet(tmp_path / "hub.db", grace_s=1.0) as told:
        await told("enqueue", [1, 2], True, 10)
        leased = await told("lease", 2, 1000)
        told.child.process.send_signal(signal.SIGSTOP)
        until_s = time.monotonic() + MISSED_S + BEAT_S + 1.5
        await until(lambda: time.monotonic() > until_s)  # longer than the lease, and than a busy machine is slow
        told.child.process.send_signal(signal.SIGCONT)
        assert await told("extend", leased) == ["renewed"] * 2
        await told("complete", leased, True)
        assert await told("numbers") == {"completed": [1, 2]}


async def test_a_hub_that_is_killed_again_and_again_ends_the_job_that_may_have_done_it(tmp_path: Path) -> None:
    """The embedded hub: the worker is the hub, and nobody comes back for its leases."""
    for round in range(MAX_RESTARTS + 1):
        async with puppet(tmp_path / "hub.db", grace_s=0.01) as told:
            if not round:
                await told("enqueue", [1], True, 10)

            async def settled() -> bool:
                return not (await told("numbers")).get("active")

            await until(settled)
            assert set(await told("numbers")) == ({"waiting"} if round < MAX_RESTARTS else {"failed"})
            await told("lease", 1, 30_000)
            told.child.kill()
            await told.child.ended()
