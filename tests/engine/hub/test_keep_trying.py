"""keep_trying: a job is tried again and again until its time is over, and never ends without a word."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hubqueue.errors import Invalid, LockLost, NotFound, WrongState
from hubqueue.hub.settings import HubSettings
from hubqueue.hub.upkeep import ENDED
from hubqueue.hub.verbs import query
from hubqueue.hub.verbs.configure import set_dlq_config
from hubqueue.hub.verbs.enqueue import enqueue_flow
from hubqueue.hub.verbs.expire import end_due
from hubqueue.model.bounds import QueueBounds
from hubqueue.model.flow import FlowJob
from hubqueue.model.job import ENDLESS, Dedup, Job, NewJob, OnFailure, Options, attempts_of
from hubqueue.model.outcome import Complete, Fail, Release, Retry
from hubqueue.model.repeat import Repeat
from hubqueue.model.retry import LAST_TRY_MS, PATIENT_BACKOFF, Backoff, delay_ms, in_time_ms
from hubqueue.model.state import State
from hubqueue.store import leases
from hubqueue.store.queues import EXPIRED

from .conftest import Bench

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
AT_ONCE = Backoff("fixed", delay_ms=0)


async def kept(bench: Bench, name: str = "a", ms: int = MINUTE_MS, **options: Any) -> str:
    """Add a job that is kept trying for so long."""
    rare = Options(keep_trying_ms=ms, **options)
    (id,) = await bench.add(name, max_attempts=attempts_of(None, rare), options=rare)
    return id


async def in_state(bench: Bench, id: str, state: State) -> Job:
    async def there() -> bool:
        return (await bench.get(id)).state is state

    await bench.until(there)
    return await bench.get(id)


async def tried(bench: Bench, error: str = "no answer") -> None:
    """One more try fails."""
    (leased,) = await bench.take()
    await bench.end(leased, Fail(error))


async def test_a_job_that_no_worker_takes_is_a_dead_letter_when_its_time_is_over(bench: Bench) -> None:
    heard = await bench.events()
    id = await kept(bench)
    await bench.later(MINUTE_MS - 1)
    assert (await bench.get(id)).state is State.WAITING
    await bench.later(1)
    dead = await in_state(bench, id, State.FAILED)
    assert (dead.history.reason, dead.history.error, dead.attempts) == ("ttl_expired", "it was never tried", 0)
    assert [(event.kind, event.error, event.terminal) for event in heard if event.kind != "pushed"] == [
        ("failed", "it was never tried", True)
    ]


async def test_its_dead_letter_says_what_the_last_try_said(bench: Bench) -> None:
    id = await kept(bench, backoff=Backoff("fixed", delay_ms=10_000, jitter=0))
    for error in ("first", "second"):
        await tried(bench, error)
        await bench.later(10_000)
    await bench.later(40_000)
    dead = await in_state(bench, id, State.FAILED)
    assert (dead.history.reason, dead.history.error, dead.attempts) == ("ttl_expired", "second", 2)


async def test_the_number_of_attempts_does_not_bound_it(bench: Bench) -> None:
    id = await kept(bench, backoff=AT_ONCE)
    for _ in range(30):
        await tried(bench)
    waits = await bench.get(id)
    assert (waits.state, waits.attempts, waits.max_attempts) == (State.WAITING, 30, ENDLESS)


async def test_a_number_of_attempts_that_is_given_bounds_it_too(bench: Bench) -> None:
    options = Options(keep_trying_ms=MINUTE_MS, backoff=AT_ONCE)
    (id,) = await bench.add("a", max_attempts=2, options=options)
    await tried(bench)
    await tried(bench)
    assert (await bench.get(id)).history.reason == "max_attempts_exceeded"


async def test_without_a_backoff_of_its_own_it_is_tried_every_five_minutes_at_least(bench: Bench) -> None:
    id = await kept(bench, ms=DAY_MS)
    waits = []
    for _ in range(9):
        await tried(bench)
        waits.append((await bench.get(id)).run_at_ms - bench.now_ms)
        await bench.later(waits[-1])
        await bench.until(lambda: bench.hub.store.queues.by_name["q"].n[State.WAITING] == 1)
    assert 2_500 <= waits[0] <= 7_500
    assert max(waits) == waits[-1] == 300_000


async def test_a_run_under_way_when_the_time_is_over_may_complete(bench: Bench) -> None:
    id = await kept(bench)
    (leased,) = await bench.take(lease_ms=10 * MINUTE_MS)
    await bench.later(2 * MINUTE_MS)
    await bench.end(leased, Complete())
    assert (await bench.get(id)).state is State.COMPLETED


@pytest.mark.parametrize(
    ("outcome", "error"),
    [(Fail("no answer"), "no answer"), (Retry(5, "not yet"), "not yet"), (Fail(), "no try said why it failed")],
)
async def test_one_that_fails_then_is_dead(bench: Bench, outcome: Any, error: str) -> None:
    id = await kept(bench)
    (leased,) = await bench.take(lease_ms=10 * MINUTE_MS)
    await bench.later(2 * MINUTE_MS)
    await bench.end(leased, outcome)
    dead = await bench.get(id)
    assert (dead.state, dead.history.reason, dead.history.error) == (State.FAILED, "ttl_expired", error)


async def test_one_that_is_released_then_is_dead_too(bench: Bench) -> None:
    id = await kept(bench)
    (leased,) = await bench.take(lease_ms=10 * MINUTE_MS)
    await bench.later(2 * MINUTE_MS)
    await bench.end(leased, Release())
    assert (await in_state(bench, id, State.FAILED)).history.reason == "ttl_expired"


async def test_one_whose_worker_vanishes_then_is_dead(bench: Bench) -> None:
    id = await kept(bench)
    await bench.take(lease_ms=2 * MINUTE_MS)
    await bench.later(2 * MINUTE_MS)
    dead = await in_state(bench, id, State.FAILED)
    assert (dead.history.reason, dead.history.error) == ("ttl_expired", "Lock expired")


@pytest.mark.parametrize("outcome", [Fail("no answer"), Retry(DAY_MS / 1000, "not today"), Release(DAY_MS / 1000)])
async def test_a_retry_that_would_come_too_late_comes_shortly_before_the_end(bench: Bench, outcome: Any) -> None:
    id = await kept(bench, backoff=Backoff("fixed", delay_ms=DAY_MS))
    ends_ms = bench.now_ms + MINUTE_MS
    (leased,) = await bench.take()
    await bench.end(leased, outcome)
    assert (await bench.get(id)).run_at_ms == ends_ms - LAST_TRY_MS
    await bench.later(MINUTE_MS - LAST_TRY_MS)
    (last,) = await bench.hub.lease("q", owner="w", wait_ms=5000)
    await bench.end(last, Fail("the last word"))
    dead = await bench.get(id)
    assert (dead.state, dead.history.reason, dead.history.error) == (State.FAILED, "ttl_expired", "the last word")


async def test_a_delay_from_outside_leaves_it_a_last_try(bench: Bench) -> None:
    id = await kept(bench)
    ends_ms = bench.now_ms + MINUTE_MS
    await bench.hub.change_delay(id, HOUR_MS)
    assert (await bench.get(id)).run_at_ms == ends_ms - LAST_TRY_MS


async def test_it_counts_from_when_the_job_was_made(bench: Bench) -> None:
    options = Options(keep_trying_ms=HOUR_MS)
    (late,) = await bench.add("late", created_at_ms=bench.now_ms - 2 * HOUR_MS, options=options)
    assert (await in_state(bench, late, State.FAILED)).history.reason == "ttl_expired"
    (young,) = await bench.add("young", created_at_ms=bench.now_ms - 59 * MINUTE_MS, options=options)
    assert (await bench.get(young)).expires_at_ms == bench.now_ms + MINUTE_MS


@pytest.mark.parametrize(
    ("ttl_ms", "ends"), [(30_000, "expired"), (MINUTE_MS, "dead"), (2 * MINUTE_MS, "dead"), (None, "dead")]
)
async def test_what_ends_first_counts_and_of_two_the_one_that_loses_nothing(
    bench: Bench, ttl_ms: int | None, ends: str
) -> None:
    await kept(bench, ttl_ms=ttl_ms)
    await bench.later(3 * MINUTE_MS)
    await bench.until(lambda: bench.hub.store.queues.by_name["q"].n[State.WAITING] == 0)
    n = bench.hub.store.queues.by_name["q"].n
    assert (n[EXPIRED], n[State.FAILED]) == ((1, 0) if ends == "expired" else (0, 1))


async def test_a_paused_queue_keeps_nobody_alive(bench: Bench) -> None:
    await bench.hub.pause("q")
    id = await kept(bench)
    await bench.later(MINUTE_MS)
    await in_state(bench, id, State.FAILED)


async def test_a_parent_that_waits_for_its_children_ends_in_time_too(bench: Bench) -> None:
    await _flow(
        bench,
        FlowJob("child", "q", NewJob(name="child", delay_ms=HOUR_MS)),
        FlowJob("parent", "q", NewJob(name="parent", options=_family("child", keep_trying_ms=MINUTE_MS))),
    )
    assert (await bench.get("parent")).state is State.WAITING_CHILDREN
    await bench.later(MINUTE_MS)
    assert (await in_state(bench, "parent", State.FAILED)).history.reason == "ttl_expired"
    await bench.hub.promote("child")
    (child,) = await bench.take()
    await bench.end(child, Complete())
    assert (await bench.get("parent")).state is State.FAILED


async def test_the_parent_of_a_child_that_ends_so_is_told_as_of_any_dead_letter(bench: Bench) -> None:
    child = Options(keep_trying_ms=MINUTE_MS, on_failure=OnFailure.FAIL)
    await _flow(
        bench,
        FlowJob("child", "q", NewJob(name="child", options=child)),
        FlowJob("parent", "q", NewJob(name="parent", options=_family("child"))),
    )
    await bench.later(MINUTE_MS)
    parent = await in_state(bench, "parent", State.FAILED)
    assert parent.history.error == "Child job child failed: it was never tried"


async def _flow(bench: Bench, *flow: FlowJob) -> None:
    await bench.hub.run(lambda tx: enqueue_flow(tx, flow))


def _family(*children: str, **options: Any) -> Options:
    return Options(depends_on=children, children_ids=children, **options)


async def test_its_keys_are_free_when_it_is_dead(bench: Bench) -> None:
    first = await kept(bench, dedup=Dedup("k"))
    await bench.later(MINUTE_MS)
    await in_state(bench, first, State.FAILED)
    assert await kept(bench, dedup=Dedup("k")) != first


async def test_a_retry_by_hand_begins_a_new_span(bench: Bench) -> None:
    id = await kept(bench, ttl_ms=2 * MINUTE_MS)
    await bench.later(MINUTE_MS)
    await in_state(bench, id, State.FAILED)
    await bench.later(5 * MINUTE_MS)
    await bench.hub.retry(id)
    again = await bench.get(id)
    assert (again.state, again.expires_at_ms) == (State.WAITING, bench.now_ms + MINUTE_MS)
    await tried(bench, "still no answer")
    await bench.later(MINUTE_MS)
    dead = await in_state(bench, id, State.FAILED)
    assert (dead.history.reason, dead.history.error) == ("ttl_expired", "still no answer")


async def test_a_job_whose_ttl_came_first_is_kept_trying_once_it_is_retried(bench: Bench) -> None:
    id = await kept(bench, ttl_ms=30_000, backoff=AT_ONCE)
    await bench.hub.discard(id)
    await bench.hub.retry(id)
    await bench.later(MINUTE_MS)
    assert (await in_state(bench, id, State.FAILED)).history.reason == "ttl_expired"


async def test_it_is_not_tried_again_by_itself_when_it_is_too_late(bench: Bench) -> None:
    await bench.hub.run(lambda tx: set_dlq_config(tx, "q", {"autoRetry": True}))
    id = await kept(bench)
    await bench.later(MINUTE_MS)
    assert (await in_state(bench, id, State.FAILED)).history.retry_at_ms is None


async def test_it_survives_a_restart_and_the_time_the_hub_was_down_counts(bench: Bench) -> None:
    id = await kept(bench)
    await bench.hub.close()
    bench.clock.at_ms += HOUR_MS
    await bench.open()
    assert (await in_state(bench, id, State.FAILED)).history.reason == "ttl_expired"


async def test_a_clock_that_jumps_takes_its_end_along(bench: Bench) -> None:
    id = await kept(bench)
    ends_ms = (await bench.get(id)).expires_at_ms
    assert ends_ms is not None
    await bench.hub.run(lambda tx: leases.shift(tx, HOUR_MS))
    assert (await bench.get(id)).expires_at_ms == ends_ms + HOUR_MS
    await bench.later(HOUR_MS)
    assert (await bench.get(id)).state is State.WAITING


async def test_a_job_whose_time_is_over_is_not_handed_out(bench: Bench) -> None:
    old = await kept(bench, "old")
    await kept(bench, "grouped", group="g")
    (young,) = await bench.add("young")
    bench.clock.at_ms += MINUTE_MS  # the loop does not turn: upkeep has done nothing yet
    assert await bench.take_names() == ["young"]
    assert (await bench.get(old)).history.reason == "ttl_expired"
    assert (await bench.hub.counts("q")).failed == 2
    assert (await bench.get(young)).state is State.ACTIVE


@pytest.mark.parametrize(
    "late", [{"delay_ms": MINUTE_MS}, {"delay_ms": HOUR_MS}, {"run_at_ms": 2**42}], ids=lambda late: next(iter(late))
)
async def test_a_job_that_would_end_before_it_is_due_is_refused(bench: Bench, late: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match=r"keepTrying .* ends before the job is due") as refused:
        await bench.add("a", options=Options(keep_trying_ms=MINUTE_MS), **late)
    assert "longer than the delay" in refused.value.hint
    assert await bench.hub.queues() == []


@pytest.mark.parametrize("wrong", [0, -1, 31_536_000_001])
async def test_its_bounds_are_named(bench: Bench, wrong: int) -> None:
    with pytest.raises(Invalid, match="keepTrying must be at"):
        await bench.add("a", options=Options(keep_trying_ms=wrong))


async def test_a_successor_counts_from_when_its_run_is_due(bench: Bench) -> None:
    """A job of every hour that is kept trying for a minute."""
    await kept(bench, repeat=Repeat(every_ms=HOUR_MS))
    (leased,) = await bench.take()
    await bench.end(leased, Complete())
    (successor,) = (await bench.hub.list_jobs("q", (State.DELAYED,))).jobs
    assert successor.expires_at_ms == successor.run_at_ms + MINUTE_MS


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
    """How many jobs each step of upkeep ends from now on."""
    steps: list[int] = []
    before = bench.hub.upkeep._due_slice

    def counted(tx: Any) -> int:
        row = tx.queues.find("q")
        there = row.n[State.WAITING]
        more = before(tx)
        steps.append(there - row.n[State.WAITING])
        return more

    bench.hub.upkeep._due_slice = counted  # type: ignore[method-assign]
    return steps


# the pure decision


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


# what it costs


async def test_a_slice_costs_the_same_however_many_are_due(bench: Bench) -> None:
    """Of jobs to remove, to bury and to retry: none is looked for among the others."""
    await bench.hub.upkeep.stop()
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
        return await bench.hub.run(lambda tx: _steps_of(tx.db, lambda: end_due(tx, 5)))

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


def _steps_of(db: sqlite3.Connection, work: Callable[[], Any]) -> int:
    count = 0

    def step() -> int:
        nonlocal count
        count += 1
        return 0

    db.set_progress_handler(step, 1)
    try:
        work()
    finally:
        db.set_progress_handler(None, 1)
    return count
