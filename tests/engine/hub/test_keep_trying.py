"""keep_trying: a job is tried again and again until its time is over, and never ends without a word."""

from __future__ import annotations

from typing import Any

import pytest

from hubqueue.errors import Invalid
from hubqueue.hub.verbs import change
from hubqueue.hub.verbs.configure import set_dlq_config
from hubqueue.hub.verbs.enqueue import enqueue_flow
from hubqueue.model.flow import FlowJob
from hubqueue.model.job import ENDLESS, Dedup, NewJob, OnFailure, Options
from hubqueue.model.outcome import Complete, Fail, Release, Retry
from hubqueue.model.repeat import Repeat
from hubqueue.model.retry import LAST_TRY_MS, Backoff
from hubqueue.model.state import State
from hubqueue.store import leases
from hubqueue.store.queues import EXPIRED

from .conftest import Bench
from .kept import AT_ONCE, DAY_MS, HOUR_MS, MINUTE_MS, in_state, kept, tried


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
    await bench.hub.run(lambda tx: change.discard(tx, id))
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
    bench.clock.at_ms += MINUTE_MS  # the loop does not turn: maintenance has done nothing yet
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
