"""keep_trying, whatever happens: no try is too late, no job ends without a word, and many are ended in slices."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hubqueue.errors import LockLost, NotFound, WrongState
from hubqueue.hub.maintenance import ENDED
from hubqueue.hub.settings import HubSettings
from hubqueue.hub.verbs import query
from hubqueue.hub.verbs.configure import set_dlq_config
from hubqueue.hub.verbs.enqueue import enqueue_flow
from hubqueue.hub.verbs.expire import end_due
from hubqueue.model.bounds import QueueBounds
from hubqueue.model.flow import FlowJob
from hubqueue.model.job import ENDLESS, NewJob, OnFailure, Options, attempts_of
from hubqueue.model.outcome import Complete, Fail, Release, Retry
from hubqueue.model.retry import LAST_TRY_MS, PATIENT_BACKOFF, Backoff, delay_ms, in_time_ms
from hubqueue.model.state import State
from hubqueue.store.queues import EXPIRED
from support.steps import Steps

from .conftest import Bench
from .kept import HOUR_MS, MINUTE_MS, in_state, kept, tried


@given(run_in=st.integers(0, 10**9), ends_in=st.integers(-(10**6), 10**9), now=st.integers(10**12, 2 * 10**12))
def test_a_try_is_never_due_after_the_end_nor_before_now(run_in: int, ends_in: int, now: int) -> None:
    at = in_time_ms(now + run_in, now + ends_in, now)
    if at is None:
        assert ends_in <= LAST_TRY_MS
    else:
        assert now <= at < now + ends_in
        assert at == now + run_in or at == now + ends_in - LAST_TRY_MS


@given(failures=st.integers(1, ENDLESS), chance=st.floats(0, 1, exclude_max=True))
def test_the_patient_backoff_is_bounded_however_often_it_failed(failures: int, chance: float) -> None:
    assert 2_500 <= delay_ms(PATIENT_BACKOFF, failures, chance) <= 300_000


@given(
    given=st.none() | st.integers(1, 1000),
    keep=st.none() | st.integers(1, 10**6),
)
def test_only_a_job_that_is_kept_trying_and_says_no_number_is_endless(given: int | None, keep: int | None) -> None:
    attempts = attempts_of(given, Options(keep_trying_ms=keep))
    assert (attempts == ENDLESS) == (given is None and keep is not None)


MOVES = st.lists(
    st.sampled_from(["fail", "retry", "release", "complete", "wait", "delay", "promote", "by_hand"]), max_size=25
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(moves=MOVES, keep_s=st.integers(1, 200), ttl_s=st.none() | st.integers(1, 200))
async def test_whatever_happens_to_it_it_ends_in_time_and_never_without_a_word(
    bench: Bench, moves: Sequence[str], keep_s: int, ttl_s: int | None
) -> None:
    """After its end it is completed, dead, active, or gone and counted: never waiting or delayed."""
    row_before = bench.hub.store.queues.by_name.get("q")
    expired = 0 if row_before is None else row_before.n[EXPIRED]
    rare = Options(
        keep_trying_ms=keep_s * 1000, ttl_ms=None if ttl_s is None else ttl_s * 1000, backoff=Backoff(delay_ms=3000)
    )
    (id,) = await bench.add("a", max_attempts=ENDLESS, options=rare)
    held = None
    for move in moves:
        if held is None:
            taken = await bench.take()
            held = taken[0] if taken else None
        if move == "wait":
            await bench.later(7_000)
        elif held is None and move == "delay":
            with contextlib.suppress(NotFound):
                await bench.hub.change_delay(id, 50_000)
        elif held is None and move == "promote":
            with contextlib.suppress(NotFound):
                await bench.hub.promote(id)
        elif held is None and move == "by_hand":
            with contextlib.suppress(NotFound, WrongState):
                await bench.hub.retry(id)
        elif held is not None and move in ("fail", "retry", "release", "complete"):
            outcome = {"fail": Fail("no"), "retry": Retry(20, "no"), "release": Release(9), "complete": Complete()}
            await bench.end(held, outcome[move])
            held = None
    await bench.later(401_000)
    if held is not None:
        with contextlib.suppress(LockLost, NotFound):
            await bench.end(held, Fail("no"))
    row = bench.hub.store.queues.by_name["q"]
    await bench.until(lambda: not row.n[State.WAITING] and not row.n[State.DELAYED] and not row.n[State.ACTIVE])
    gone = row.n[EXPIRED] - expired
    found = await bench.hub.run(lambda tx: query.find(tx, id))
    assert gone == (found is None)
    if found is not None and found.state is State.FAILED:
        assert found.history.reason in ("ttl_expired", "stalled")
        assert found.history.error


class TestTogether:
    """Of jobs whose time is over in the same moment one takes others along. The bench counts anew at the end."""

    @pytest.fixture
    def settings(self) -> HubSettings:
        return HubSettings(grace_s=0.2, sync_interval_s=0.1, bounds=QueueBounds(max_dead=1))

    @pytest.mark.parametrize("removed", [True, False])
    async def test_a_child_and_its_parent(self, bench: Bench, removed: bool) -> None:
        child = Options(keep_trying_ms=MINUTE_MS, on_failure=OnFailure.FAIL)
        parent = Options(
            keep_trying_ms=MINUTE_MS, remove_on_fail=removed, depends_on=("child",), children_ids=("child",)
        )
        flow = [
            FlowJob("child", "q", NewJob(name="child", options=child)),
            FlowJob("parent", "parents", NewJob(name="parent", options=parent)),
        ]
        await bench.hub.run(lambda tx: enqueue_flow(tx, flow))
        await bench.later(MINUTE_MS)
        await in_state(bench, "child", State.FAILED)
        row = bench.hub.store.queues.by_name["parents"]
        assert row.n == [0, 0, 0, 0, 0, 0 if removed else 1, 0, 0]

    async def test_dead_letters_of_which_the_oldest_has_no_room(self, bench: Bench) -> None:
        again = {"autoRetry": True, "autoRetryInterval": 2 * MINUTE_MS}
        await bench.hub.run(lambda tx: set_dlq_config(tx, "q", again))
        await bench.add("old", max_attempts=1)
        await tried(bench)
        await kept(bench, "young")
        await bench.later(3 * MINUTE_MS)
        await bench.until(lambda: bench.hub.store.evicted == 1)
        (dead,) = (await bench.hub.list_jobs("q", (State.FAILED,))).jobs
        assert dead.name == "young"
        assert bench.hub.store.queues.by_name["q"].n == [0, 0, 0, 0, 0, 1, 0, 0]


class TestMany:
    """After an outage."""

    @pytest.fixture
    def settings(self) -> HubSettings:
        return HubSettings(grace_s=0.2, sync_interval_s=0.1, bounds=QueueBounds(max_dead=5_000))

    async def test_many_that_end_together_are_ended_in_slices(self, bench: Bench) -> None:
        """The bound of the dead letters holds meanwhile, and each that it drops is counted."""
        many, rare = 3_000, Options(keep_trying_ms=MINUTE_MS)
        for _ in range(4):
            await bench.hub.enqueue("q", [NewJob(options=rare) for _ in range(many)])
        steps = _steps(bench)
        await bench.later(MINUTE_MS)
        row = bench.hub.store.queues.by_name["q"]
        await bench.until(lambda: row.n[State.WAITING] == 0)
        assert row.n[State.FAILED] == 5_000
        assert bench.hub.store.evicted == 4 * many - 5_000
        assert max(steps) <= ENDED


def _steps(bench: Bench) -> list[int]:
    """How many jobs each step of maintenance ends from now on."""
    steps: list[int] = []
    before = bench.hub.maintenance._due_slice

    def counted(tx: Any) -> int:
        row = tx.queues.find("q")
        there = row.n[State.WAITING]
        more = before(tx)
        steps.append(there - row.n[State.WAITING])
        return more

    bench.hub.maintenance._due_slice = counted  # type: ignore[method-assign]
    return steps


async def test_a_slice_costs_the_same_however_many_are_due(bench: Bench) -> None:
    """Of jobs to remove, to bury and to retry: none is looked for among the others."""
    await bench.hub.maintenance.stop()
    await bench.hub.run(lambda tx: set_dlq_config(tx, "q", {"autoRetry": True, "autoRetryInterval": 1000}))

    async def due(count: int) -> int:
        """Make so many of each kind due; SQLite's steps for one slice of them."""
        for options in (Options(ttl_ms=1000), Options(keep_trying_ms=1000)):
            await bench.hub.enqueue("q", [NewJob(options=options) for _ in range(count)])
        dead = await bench.hub.enqueue("q", [NewJob(max_attempts=1, priority=1) for _ in range(count)])
        for leased in await bench.take(count):
            await bench.end(leased, Fail("no"))
        assert (await bench.hub.counts("q")).failed >= len(dead)
        await bench.later(5000)
        with Steps(bench.hub) as steps:
            await bench.hub.run(lambda tx: end_due(tx, 5))
        return steps.total

    few = await due(20)
    many = await due(400)
    assert many < 2 * few


async def test_handing_out_and_completing_one_costs_no_statement_more(bench: Bench) -> None:
    async def statements(options: Options | None) -> list[str]:
        told: list[str] = []
        (id,) = await bench.add("a", options=options)
        bench.hub.store.tx.db.set_trace_callback(told.append)
        (leased,) = await bench.take()
        assert leased.job.id == id
        await bench.end(leased, Complete())
        bench.hub.store.tx.db.set_trace_callback(None)
        return [text.split()[0] for text in told if "checkpoint" not in text]

    await statements(None)
    assert await statements(Options(keep_trying_ms=HOUR_MS)) == await statements(None)
    assert await statements(Options(ttl_ms=HOUR_MS)) == await statements(None)
