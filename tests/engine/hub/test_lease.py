"""lease: order, tokens, expiry, and who may settle."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import Any

import pytest

from hubqueue.errors import LockLost, LockRequired, NotFound
from hubqueue.hub.verbs import lease as lease_verb
from hubqueue.hub.verbs.enqueue import enqueue
from hubqueue.hub.verbs.lease import lease
from hubqueue.model.job import NewJob, Options
from hubqueue.model.outcome import Complete, Fail, Release
from hubqueue.model.retry import Backoff
from hubqueue.model.state import State
from hubqueue.model.verbs import Renewal
from hubqueue.store.queues import NEVER
from hubqueue.store.tx import Tx
from support.waiting import soon

from .conftest import Bench


async def test_jobs_come_in_the_order_they_were_enqueued(bench: Bench) -> None:
    await bench.add("a", "b", "c")
    await bench.add("d")
    assert await bench.take_names() == ["a", "b", "c", "d"]


async def test_higher_priority_comes_first_and_negative_last(bench: Bench) -> None:
    await bench.add("low", priority=-1)
    await bench.add("plain")
    await bench.add("high", priority=10)
    await bench.add("higher", priority=11)
    assert await bench.take_names() == ["higher", "high", "plain", "low"]


async def test_lifo_jobs_come_before_the_others_newest_first(bench: Bench) -> None:
    await bench.add("a", "b")
    await bench.add("x", "y", options=Options(lifo=True))
    await bench.add("urgent", priority=1)
    assert await bench.take_names() == ["urgent", "y", "x", "a", "b"]


async def test_a_delayed_job_waits_for_its_time_and_does_not_block_others(bench: Bench) -> None:
    await bench.add("later", delay_ms=150, priority=5)
    await bench.add("now")
    assert await bench.take_names() == ["now"]
    await bench.later(149)
    assert await bench.take_names() == []
    await bench.later(1)
    assert await bench.take_names() == ["later"]


async def test_a_job_that_became_due_earlier_goes_before_one_enqueued_later(bench: Bench) -> None:
    await bench.hub.maintenance.stop()
    await bench.add("late", delay_ms=30)
    await bench.later(31)
    await bench.add("fresh")
    assert await bench.take_names() == ["late", "fresh"]


async def test_a_leased_job_is_given_to_nobody_else(bench: Bench) -> None:
    await bench.add("a")
    assert len(await bench.take()) == 1
    assert await bench.take() == []


async def test_a_paused_queue_hands_out_nothing_until_it_is_resumed(bench: Bench) -> None:
    await bench.add("a")
    await bench.hub.pause("q")
    assert await bench.take() == []
    counts = await bench.hub.counts("q")
    assert (counts.waiting, counts.paused) == (0, 1)
    waiting = asyncio.create_task(bench.hub.lease("q", owner="w", wait_ms=5000))
    await asyncio.sleep(0)
    await bench.hub.resume("q")
    assert [each.job.name for each in await waiting] == ["a"]


async def test_p3_a_stale_worker_changes_nothing(bench: Bench) -> None:
    (id,) = await bench.add("a", max_attempts=5)
    (stale,) = await bench.take(lease_ms=20)
    await bench.later(20)
    (fresh,) = await bench.hub.lease("q", owner="w2", wait_ms=5000)
    assert fresh.job.id == id
    for outcome in (Complete(b"\x01"), Fail("late"), Release()):
        with pytest.raises(LockLost):
            await bench.end(stale, outcome)
    assert await bench.hub.extend([(id, stale.token)]) == [Renewal.LOST]
    assert (await bench.get(id)).lease_no == fresh.job.lease_no
    await bench.end(fresh, Complete())
    with pytest.raises(LockLost):
        await bench.end(stale, Complete())
    assert (await bench.get(id)).state is State.COMPLETED


async def test_p3_a_stale_worker_is_refused_while_the_job_waits_again(bench: Bench) -> None:
    (id,) = await bench.add("a")
    (stale,) = await bench.take(lease_ms=20)
    await bench.later(20)
    await bench.until(lambda: _is(bench, id, State.WAITING))
    with pytest.raises(LockLost, match="Invalid or expired lock token"):
        await bench.end(stale, Complete())
    assert (await bench.get(id)).attempts == 1


async def test_a_guessed_token_is_refused(bench: Bench) -> None:
    (id,) = await bench.add("a")
    (leased,) = await bench.take()
    for token in ("1.000000000000000000000000", "1", "", "1." + "x" * 24, leased.token[:-1], "2" + leased.token[1:]):
        with pytest.raises((LockLost, LockRequired)):
            await bench.hub.settle([_settlement(id, token)])
    await bench.end(leased, Complete())


async def test_an_expired_lease_that_nobody_took_still_settles(bench: Bench) -> None:
    (id,) = await bench.add("a")
    await bench.hub.maintenance.stop()
    (leased,) = await bench.take(lease_ms=1)
    await bench.later(1000)
    await bench.end(leased, Complete())
    assert (await bench.get(id)).state is State.COMPLETED


async def test_a_stalled_job_is_counted_and_runs_again(bench: Bench) -> None:
    heard = await bench.events()
    (id,) = await bench.add("a", max_attempts=3)
    await bench.take(lease_ms=20)
    await bench.later(20)
    (again,) = await bench.hub.lease("q", owner="w2", wait_ms=5000)
    assert (again.job.attempts, again.job.stall_count) == (1, 1)
    assert "stalled" in [event.kind for event in heard]
    assert again.job.history.attempts[0].reason == "stalled"
    assert again.job.id == id


async def test_a_job_with_one_attempt_never_runs_twice_by_itself(bench: Bench) -> None:
    (id,) = await bench.add("a", max_attempts=1)
    await bench.take(lease_ms=20)
    await bench.later(20)
    await bench.until(lambda: _is(bench, id, State.FAILED))
    assert (await bench.get(id)).history.reason == "stalled"


async def test_a_job_that_stalls_too_often_is_a_dead_letter(bench: Bench) -> None:
    (id,) = await bench.add("a", max_attempts=100)
    for _ in range(3):
        await bench.until(lambda: _is(bench, id, State.WAITING))
        await bench.take(lease_ms=10)
        await bench.later(10)
    await bench.until(lambda: _is(bench, id, State.FAILED))
    job = await bench.get(id)
    assert (job.history.reason, job.stall_count) == ("stalled", 3)


async def test_a_lease_that_ran_out_is_held_by_no_connection_any_more(bench: Bench) -> None:
    holder = bench.hub.holder()
    await bench.add("a", "b", "c", max_attempts=1)
    got: list[Any] = []
    bench.hub.lease_or_park("q", 3, "w", 10, 0, holder, got.append)
    await bench.until(lambda: got)
    assert bench.hub.held_count == 3
    await bench.later(10)
    await bench.until(lambda: bench.hub.held_count == 0)
    assert holder.leases == {}


async def test_extending_keeps_a_lease(bench: Bench) -> None:
    (id,) = await bench.add("a")
    (leased,) = await bench.take(lease_ms=60)
    for _ in range(6):
        await bench.later(59)
        assert await bench.hub.extend([(id, leased.token)]) == [Renewal.RENEWED]
    assert (await bench.get(id)).state is State.ACTIVE
    await bench.end(leased, Complete())


async def test_the_stall_timeout_of_a_job_goes_before_the_length_of_the_lease(bench: Bench) -> None:
    (id,) = await bench.add("a", options=Options(stall_timeout_ms=20))
    await bench.take(lease_ms=60_000)
    await bench.later(20)
    await bench.until(lambda: _is(bench, id, State.WAITING))


async def test_a_timeout_ends_the_run_whatever_the_heartbeats(bench: Bench) -> None:
    options = Options(timeout_ms=60, backoff=Backoff("fixed", 60_000))
    (id,) = await bench.add("a", options=options)
    (leased,) = await bench.take(lease_ms=30_000)
    assert await bench.hub.extend([(id, leased.token)], 30_000) == [Renewal.RENEWED]
    await bench.later(60)
    await bench.until(lambda: _is(bench, id, State.DELAYED))
    job = await bench.get(id)
    assert job.history.attempts[0].reason == "timeout"
    assert job.history.attempts[0].error == "Job timeout exceeded"
    with pytest.raises(LockLost):
        await bench.end(leased, Complete())
    await bench.end(leased, Fail("late"))  # it is what the hub says of it, too
    assert (await bench.get(id)).state is State.DELAYED


async def test_an_ownerless_lease_needs_no_token_and_comes_back_by_itself(bench: Bench) -> None:
    (a, b) = await bench.add("a", "b")
    leased = await bench.take(2, owner=None, lease_ms=40)
    assert [each.token for each in leased] == ["", ""]
    await bench.hub.settle([_settlement(a, None)])
    await bench.later(40)
    await bench.until(lambda: _is(bench, b, State.WAITING))


async def test_an_owned_lease_needs_its_token(bench: Bench) -> None:
    (id,) = await bench.add("a")
    await bench.take()
    with pytest.raises(LockRequired):
        await bench.hub.settle([_settlement(id, None)])


async def test_settling_an_unknown_job_says_so(bench: Bench) -> None:
    with pytest.raises(NotFound, match="not in processing"):
        await bench.hub.settle([_settlement("nowhere", "1.x")])


async def test_a_job_beyond_its_ttl_is_not_handed_out(bench: Bench) -> None:
    await bench.add("short", options=Options(ttl_ms=20))
    await bench.add("long", options=Options(ttl_ms=60_000))
    await bench.later(20)
    await bench.until(lambda: _count(bench, "waiting", 1))
    assert await bench.take_names() == ["long"]


async def test_p7_leases_survive_a_restart_for_owners_that_come_back(bench: Bench) -> None:
    (id,) = await bench.add("a")
    (leased,) = await bench.take()
    await bench.reopen()
    assert await bench.hub.extend([(id, leased.token)]) == [Renewal.RENEWED]
    await asyncio.sleep(0)
    await bench.end(leased, Complete())
    assert (await bench.get(id)).state is State.COMPLETED


async def test_p7_after_a_restart_jobs_of_owners_that_stay_away_are_given_back(bench: Bench) -> None:
    (id,) = await bench.add("a")
    (leased,) = await bench.take()
    await bench.reopen()
    await bench.later(199)
    assert (await bench.get(id)).state is State.ACTIVE
    await bench.later(1)
    await bench.until(lambda: _is(bench, id, State.WAITING))
    job = await bench.get(id)
    assert (job.attempts, job.lost_count) == (0, 0)
    with pytest.raises(LockLost):
        await bench.end(leased, Complete())


async def test_a_cancelled_running_job_is_told_at_the_heartbeat(bench: Bench) -> None:
    (id,) = await bench.add("a")
    (leased,) = await bench.take()
    await bench.hub.cancel(id, active=True)
    assert await bench.hub.extend([(id, leased.token)]) == [Renewal.CANCELLED]
    await bench.end(leased, Fail("stopped"))
    job = await bench.get(id)
    assert (job.state, job.history.reason) == (State.FAILED, "cancelled")


async def _is(bench: Bench, id: str, state: State) -> bool:
    return (await bench.get(id)).state is state


async def _count(bench: Bench, name: str, n: int) -> bool:
    return bool(getattr(await bench.hub.counts("q"), name) == n)


def _settlement(id: str, token: str | None):  # type: ignore[no-untyped-def]
    from hubqueue.model.outcome import Settlement

    return Settlement(id, token, Complete())


async def test_a_job_delayed_in_the_group_that_promotes_another_comes_when_it_is_due(bench: Bench) -> None:
    hub = bench.hub
    await bench.add("due", delay_ms=2)
    await bench.later(2)  # the loop does not turn: the lease promotes it, not maintenance
    taken = hub.run(lambda tx: lease(tx, "q", 1, "w", 30_000))
    made = hub.run(lambda tx: enqueue(tx, "q", [NewJob(name="later", delay_ms=30)]))
    assert [each.job.name for each in await taken] == ["due"]
    await made
    await bench.later(30)
    await bench.until(lambda: _hands_out(bench, "later"))


async def _hands_out(bench: Bench, name: str) -> bool:
    return name in await bench.take_names()


async def test_a_cancelled_job_that_is_retried_is_not_cancelled_any_more(bench: Bench) -> None:
    (id,) = await bench.add("a")
    (leased,) = await bench.take()
    await bench.hub.cancel(id, active=True)
    await bench.end(leased, Fail("stopped"))
    assert (await bench.get(id)).history.reason == "cancelled"
    await bench.hub.retry(id)
    (leased,) = await bench.take()
    assert await bench.hub.extend([(id, leased.token)]) == [Renewal.RENEWED]


async def test_one_lease_removes_a_bounded_number_of_outlived_jobs_and_a_waiting_worker_still_gets_its_job(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a long stop many jobs may have outlived their time: the loop must not stand still to remove them."""
    monkeypatch.setattr(lease_verb, "OUTLIVED", 3)
    mortal = [NewJob(name=name, options=Options(ttl_ms=1)) for name in "abcdefghij"]
    await bench.hub.enqueue("q", [*mortal, NewJob(name="alive")])
    await bench.later(1)  # the loop does not turn: maintenance removes none of them
    waits = asyncio.create_task(bench.hub.lease("q", owner="w", wait_ms=10_000))
    polled = bench.hub.run(lambda tx: lease(tx, "q", 1, "v", 30_000))
    assert await polled == []
    assert [each.job.name for each in await soon(waits)] == ["alive"]


async def test_a_worker_that_gave_up_behind_the_gate_leaves_its_job_to_the_next(bench: Bench) -> None:
    hub = bench.hub
    first, second = (asyncio.create_task(hub.lease("q", owner=name, wait_ms=60_000)) for name in "ab")
    await bench.until(lambda: len(hub._waiters.everyone()) == 2)
    added = hub.enqueue("q", [NewJob(name="a")])
    task = asyncio.create_task(added)
    await asyncio.sleep(0)
    hub.store._gate.closed = True  # as when a checkpoint begins in that very group
    await task
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    hub.store._gate.closed = False
    hub.store._run_gated()
    assert [each.job.name for each in await soon(second)] == ["a"]


async def test_upkeep_goes_on_when_its_plan_was_taken_back_with_a_group(bench: Bench) -> None:
    def broken(tx: Tx) -> None:
        raise sqlite3.OperationalError

    hub, maintenance = bench.hub, bench.hub.maintenance
    (id,) = await bench.add("a")
    await bench.take(lease_ms=200)
    assert maintenance._timer is not None
    maintenance._timer.cancel()
    maintenance._due()  # as the timer would: now, while nothing is due
    await hub.store.run(lambda tx: None)
    maintenance._due_done(NEVER)
    replies: list[object] = []
    hub.submit(broken, replies.append)
    assert len(replies) == 1
    if maintenance._timer is not None:
        assert maintenance._alarm.at_ms < hub.now_ms() + 2000
    bench.clock.at_ms += 200  # not `later`: maintenance must come by itself
    await bench.until(lambda: _stalled(bench, id))


async def _stalled(bench: Bench, id: str) -> bool:
    return (await bench.get(id)).stall_count == 1


async def test_a_delayed_job_that_outlives_its_ttl_is_gone_before_it_is_due(bench: Bench) -> None:
    await bench.add("a", delay_ms=100, options=Options(ttl_ms=50))
    await bench.later(49)
    assert (await bench.hub.counts("q")).delayed == 1
    await bench.later(1)
    await bench.until(lambda: _count(bench, "delayed", 0))
    await bench.later(60)
    assert await bench.take() == []


async def test_a_job_that_outlived_its_ttl_while_it_was_delayed_is_not_handed_out(bench: Bench) -> None:
    await bench.hub.maintenance.stop()  # the lease finds out by itself
    await bench.add("a", delay_ms=40, options=Options(ttl_ms=50))
    await bench.add("b", delay_ms=40, options=Options(ttl_ms=500))
    await bench.later(50)
    assert await bench.take_names() == ["b"]
    counts = await bench.hub.counts("q")
    assert (counts.waiting, counts.delayed, counts.active) == (0, 0, 1)


@pytest.mark.parametrize("by_upkeep", [True, False], ids=["by maintenance", "by the lease"])
async def test_many_due_jobs_leave_in_the_order_they_became_due(bench: Bench, *, by_upkeep: bool) -> None:
    """More than one slice of them, accepted in the opposite order."""
    if not by_upkeep:
        await bench.hub.maintenance.stop()
    count = 750
    jobs = [NewJob(name=str(number), delay_ms=10 + number) for number in reversed(range(count))]
    await bench.hub.enqueue("q", jobs)
    await bench.later(10 + count)
    if by_upkeep:
        await bench.until(lambda: _count(bench, "delayed", 0))
    taken: list[str] = []
    while names := await bench.take_names(150):
        taken += names
    assert taken == [str(number) for number in range(count)]
