"""Changes from outside a run, whole queues, lists and maintenance."""

from __future__ import annotations

import asyncio
import math
from functools import partial

import pytest

from hubqueue.client.local import LocalHub
from hubqueue.errors import Invalid, NotFound, WrongState
from hubqueue.hub import longwork
from hubqueue.hub.settings import HubSettings
from hubqueue.hub.verbs import change, query, queues
from hubqueue.hub.verbs.leased import read_logs
from hubqueue.hub.verbs.queues import bury_new
from hubqueue.model.bounds import QueueBounds
from hubqueue.model.job import Dedup, NewJob, Options
from hubqueue.model.outcome import Complete, Fail, Reject, Retry
from hubqueue.model.state import State
from hubqueue.model.verbs import Retried
from hubqueue.store import lists

from .conftest import Bench


async def test_cancel_removes_a_job_that_has_not_started(bench: Bench) -> None:
    waiting, delayed = [*await bench.add("a"), *await bench.add("b", delay_ms=60_000)]
    for id in (waiting, delayed):
        await bench.hub.cancel(id)
        with pytest.raises(NotFound):
            await bench.get(id)


async def test_cancel_refuses_running_and_finished_jobs(bench: Bench) -> None:
    (id,) = await bench.add("a")
    (leased,) = await bench.take()
    with pytest.raises(NotFound, match="cannot be cancelled"):
        await bench.hub.cancel(id)
    await bench.end(leased, Complete())
    with pytest.raises(NotFound, match="cannot be cancelled"):
        await bench.hub.cancel(id)


async def test_cancel_frees_ids_and_keys(bench: Bench) -> None:
    options = Options(dedup=Dedup("k"))
    await bench.add("a", custom_id="mine", options=options)
    await bench.hub.cancel("mine")
    await bench.add("b", custom_id="mine", options=options)
    assert (await bench.get("mine")).name == "b"


async def test_discard_makes_a_dead_letter(bench: Bench) -> None:
    (id,) = await bench.add("a")
    await bench.hub.run(lambda tx: change.discard(tx, id))
    job = await bench.get(id)
    assert (job.state, job.history.reason) == (State.FAILED, "discarded")


async def test_promote_makes_a_delayed_job_available_at_once(bench: Bench) -> None:
    (id,) = await bench.add("a", delay_ms=60_000)
    waiting = asyncio.create_task(bench.hub.lease("q", owner="w", wait_ms=10_000))
    await asyncio.sleep(0)
    await bench.hub.promote(id)
    assert [each.job.id for each in await waiting] == [id]
    with pytest.raises(NotFound, match="not delayed"):
        await bench.hub.promote(id)


async def test_promoting_many_takes_the_oldest(bench: Bench) -> None:
    await bench.add("a", "b", "c", delay_ms=60_000)
    assert await bench.hub.promote_all("q", limit=2) == 2
    assert await bench.take_names() == ["a", "b"]


async def test_update_replaces_the_data_until_the_job_has_finished(bench: Bench) -> None:
    (id,) = await bench.add("a", data=b"\x01")
    await bench.hub.update(id, b"\x02")
    (leased,) = await bench.take()
    assert leased.job.data == b"\x02"
    await bench.hub.update(id, b"\x03")
    await bench.end(leased, Complete())
    with pytest.raises(NotFound, match="cannot be updated"):
        await bench.hub.update(id, b"\x04")
    assert (await bench.get(id)).data == b"\x03"


async def test_change_priority_sorts_anew(bench: Bench) -> None:
    (_, b, _) = await bench.add("a", "b", "c")
    await bench.hub.change_priority(b, 5)
    assert (await bench.hub.counts("q")).prioritized == 1
    await bench.check_counters()
    assert await bench.take_names() == ["b", "a", "c"]
    with pytest.raises(NotFound, match="not in queue"):
        await bench.hub.change_priority(b, 1)


async def test_change_delay_moves_waiting_delayed_and_running_jobs(bench: Bench) -> None:
    (a, b) = await bench.add("a", "b")
    await bench.hub.change_delay(a, 60_000)
    assert await bench.take_names(1) == ["b"]
    await bench.hub.change_delay(a, 0)
    (leased,) = await bench.take()
    assert leased.job.id == a
    await bench.hub.run(lambda tx: change.change_delay(tx, a, 60_000, leased.token))
    assert (await bench.get(a)).state is State.DELAYED
    assert (await bench.get(b)).state is State.ACTIVE


async def test_move_to_wait_serves_every_state(bench: Bench) -> None:
    move = partial(change.move_to_wait, token=None)
    (id,) = await bench.add("a", delay_ms=60_000)
    await bench.hub.run(lambda tx: move(tx, id))
    (leased,) = await bench.take()
    await bench.hub.run(lambda tx: change.move_to_wait(tx, id, leased.token))
    await bench.end((await bench.take())[0], Reject("x"))
    await bench.hub.run(lambda tx: move(tx, id))
    (leased,) = await bench.take()
    assert leased.job.attempts == 0
    await bench.end(leased, Complete())
    with pytest.raises(WrongState, match="Cannot move job from state 'completed'"):
        await bench.hub.run(lambda tx: move(tx, id))
    with pytest.raises(NotFound, match="unknown"):
        await bench.hub.run(lambda tx: move(tx, f"{bench.hub.hub_id}-999"))


async def test_a_dead_job_is_retried_with_all_its_attempts(bench: Bench) -> None:
    (id,) = await bench.add("a", max_attempts=1, data=b"\x05")
    await bench.end((await bench.take())[0], Fail("x"))
    waiting = asyncio.create_task(bench.hub.lease("q", owner="w", wait_ms=10_000))
    await asyncio.sleep(0)
    await bench.hub.retry(id)
    (leased,) = await waiting
    assert (leased.job.id, leased.job.attempts, leased.job.data) == (id, 0, b"\x05")
    assert leased.job.history.attempts[0].error == "x"


async def test_all_dead_jobs_of_a_queue_are_retried_oldest_first(bench: Bench) -> None:
    await bench.add(*[str(n) for n in range(1200)], max_attempts=1)
    while leased := await bench.take(500):
        for each in leased:
            await bench.end(each, Fail("x"))
    assert (await bench.hub.counts("q")).failed == 1200
    assert await bench.hub.retry_dead("q", limit=3) == Retried(3)
    assert await bench.take_names() == ["0", "1", "2"]
    assert await bench.hub.retry_dead("q") == Retried(1197)
    assert (await bench.take_names(1))[0] == "3"


async def test_a_dead_job_whose_key_was_taken_stays_dead(bench: Bench) -> None:
    once = Options(dedup=Dedup("k"))
    (dead,) = await bench.add("a", max_attempts=1, options=once)
    await bench.end((await bench.take())[0], Fail("x"))
    await bench.add("b", options=once)
    why = "the job cannot be run again: its deduplication key is another job's now"
    assert await bench.hub.retry_dead("q") == Retried(kept=1, why=why)
    with pytest.raises(WrongState, match="its deduplication key is another job's now"):
        await bench.hub.retry(dead)
    assert (await bench.get(dead)).state is State.FAILED


async def test_purge_deletes_dead_letters_only(bench: Bench) -> None:
    await bench.add("a", "b")
    await bench.end((await bench.take())[0], Reject("x"))
    assert await bench.hub.purge("q") == 1
    counts = await bench.hub.counts("q")
    assert (counts.failed, counts.waiting) == (0, 1)


async def test_drain_deletes_what_is_queued_only(bench: Bench) -> None:
    await bench.add(*["a"] * 1300)
    await bench.add("b", delay_ms=60_000)
    await bench.take(2)
    assert await bench.hub.drain("q") == 1299
    counts = await bench.hub.counts("q")
    assert (counts.waiting, counts.delayed, counts.active) == (0, 0, 2)


async def test_clean_deletes_what_is_old_enough_up_to_the_limit(bench: Bench) -> None:
    ids = await bench.add(*["a"] * 700)
    for each in await bench.take(700):
        await bench.end(each, Complete())
    assert await bench.hub.clean("q", 60_000, 1000) == []
    assert await bench.hub.clean("q", 0, 600) == ids[:600]
    assert await bench.hub.clean("q", 0, 1000) == ids[600:]
    assert await bench.hub.clean("nowhere", 0, 10) == []


async def test_obliterate_frees_the_name_at_once_and_the_rows_soon(bench: Bench) -> None:
    (id, *_) = await bench.add(*["a"] * 1500)
    await bench.add("m", custom_id="mine", options=Options(dedup=Dedup("k")))
    (leased,) = await bench.take()
    await bench.hub.obliterate("q")
    with pytest.raises(NotFound):
        await bench.get(id)
    with pytest.raises(NotFound):
        await bench.end(leased, Complete())
    assert await bench.hub.queues() == []
    await bench.add("fresh", custom_id="mine", options=Options(dedup=Dedup("k")))
    assert await bench.take_names() == ["fresh"]
    bench.hub.maintenance._beats.cancel()  # type: ignore[union-attr]
    await bench.hub.maintenance._retain()
    assert sum(n for n, _ in (await bench.hub.run(lists.recount)).values()) == 1


async def test_pause_survives_a_restart(bench: Bench) -> None:
    await bench.add("a")
    await bench.hub.pause("q")
    await bench.reopen()
    assert await bench.take() == []
    await bench.hub.resume("q")
    assert await bench.take_names() == ["a"]


async def test_lists_page_by_cursor_and_by_offset(bench: Bench) -> None:
    ids = await bench.add(*[str(n) for n in range(25)])
    page = await bench.hub.list_jobs("q", [State.WAITING], limit=10)
    assert [job.id for job in page.jobs] == ids[:10]
    page = await bench.hub.list_jobs("q", [State.WAITING], limit=10, cursor=page.cursor)
    assert [job.id for job in page.jobs] == ids[10:20]
    page = await bench.hub.list_jobs("q", [State.WAITING], limit=10, cursor=page.cursor)
    assert ([job.id for job in page.jobs], page.cursor) == (ids[20:], None)
    page = await bench.hub.list_jobs("q", limit=5, offset=3, ascending=False)
    assert [job.id for job in page.jobs] == ids[::-1][3:8]


async def test_a_list_of_several_states_is_merged_in_order(bench: Bench) -> None:
    ids = await bench.add(*[str(n) for n in range(9)])
    for each in await bench.take(6):
        if int(each.job.name) % 2:
            await bench.end(each, Complete())
    page = await bench.hub.list_jobs("q", [State.COMPLETED, State.WAITING], limit=4, offset=1)
    assert [job.id for job in page.jobs] == [ids[3], ids[5], ids[6], ids[7]]


async def test_a_due_job_is_shown_as_waiting_before_it_is_promoted(bench: Bench) -> None:
    await bench.hub.maintenance.stop()
    (id,) = await bench.add("a", delay_ms=5)
    await bench.later(4)
    assert (await bench.get(id)).state is State.DELAYED
    await bench.later(1)
    assert (await bench.get(id)).state is State.WAITING


async def test_keys_can_be_looked_up_and_freed(bench: Bench) -> None:
    (id,) = await bench.add("a", options=Options(dedup=Dedup("k")))
    assert await bench.hub.run(lambda tx: query.key_owner(tx, "q", "k")) == id
    assert await bench.hub.run(lambda tx: query.free_key_of(tx, id))
    assert not await bench.hub.run(lambda tx: query.free_key(tx, "q", "k"))
    (other,) = await bench.add("b", options=Options(dedup=Dedup("k")))
    assert other != id


async def test_progress_and_logs_stay_with_the_job(bench: Bench) -> None:
    (id,) = await bench.add("a")
    with pytest.raises(WrongState):
        await bench.hub.progress(id, None, 1.0)
    (leased,) = await bench.take()
    await bench.hub.progress(id, leased.token, 33.5, "a third")
    job = await bench.get(id)
    assert (job.progress, job.history.progress_message) == (33.5, "a third")
    for value in (math.nan, math.inf):
        with pytest.raises(Invalid):
            await bench.hub.progress(id, leased.token, value)
    await bench.hub.progress(id, leased.token, 1e300)
    assert (await bench.get(id)).progress == 100
    for n in range(150):
        await bench.hub.log(id, f"line {n}")
    await bench.reopen()
    lines = await bench.hub.run(lambda tx: read_logs(tx, id))
    assert [line.message for line in lines] == [f"line {n}" for n in range(50, 150)]
    await bench.hub.run(lambda tx: change.discard(tx, id, leased.token))
    await bench.hub.purge("q")
    assert await bench.hub.run(lambda tx: read_logs(tx, id)) == []


async def test_what_cannot_become_a_job_is_kept_as_a_dead_letter(bench: Bench) -> None:
    (id,) = await bench.hub.run(
        lambda tx: bury_new(tx, "_unroutable", [(NewJob(name="x", data=b"\x01"), "unroutable", "no rule")])
    )
    job = await bench.get(id)
    assert (job.state, job.history.reason, job.history.error) == (State.FAILED, "unroutable", "no rule")
    for again in (bench.hub.retry(id), bench.hub.retry_dead("_unroutable")):
        with pytest.raises(WrongState, match="this hub has none"):  # no hub embedded without rules parks it in silence
            await again
    assert (await bench.get(id)).state is State.FAILED


@pytest.fixture
def settings(request: pytest.FixtureRequest) -> HubSettings:
    return getattr(request, "param", HubSettings(grace_s=0.2))


FEW = HubSettings(bounds=QueueBounds(keep_completed=10, max_dead=5))
YOUNG = HubSettings(bounds=QueueBounds(keep_completed_ms=30, keep_dead_ms=30))


@pytest.mark.parametrize("settings", [FEW], indirect=True)
async def test_retention_keeps_the_newest_completed_and_dead(bench: Bench) -> None:
    await bench.add(*["a"] * 600)
    for each in await bench.take(600):
        await bench.end(each, Complete())
    dead = await bench.add(*["b"] * 8)
    for each in await bench.take(8):
        await bench.end(each, Reject("x"))
    assert (await bench.hub.counts("q")).failed == 5  # at once
    await bench.hub.maintenance._retain()
    assert (await bench.hub.counts("q")).completed == 10
    page = await bench.hub.list_jobs("q", [State.FAILED])
    assert [job.id for job in page.jobs] == dead[3:]
    assert bench.hub.store.evicted == 3


@pytest.mark.parametrize("settings", [YOUNG], indirect=True)
async def test_retention_deletes_what_is_too_old(bench: Bench) -> None:
    await bench.add("a", "b")
    first, second = await bench.take(2)
    await bench.end(first, Complete())
    await bench.end(second, Reject("x"))
    await bench.later(40)
    await bench.hub.maintenance._retain()
    counts = await bench.hub.counts("q")
    assert (counts.completed, counts.failed) == (0, 0)


async def test_long_work_looks_at_a_bounded_number_of_jobs_in_one_step(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clean of a long queue in which nothing is old enough must not hold the loop."""
    monkeypatch.setattr(lists, "LOOKED_AT", 3)
    ids = await bench.add(*"abcdefgh")
    for leased in await bench.take(8):
        await bench.end(leased, Reject("no"))
    hub = bench.hub
    assert await hub.clean("q", 3_600_000, 10, State.FAILED) == []
    assert await hub.run(lambda tx: queues.clean_slice(tx, "q", State.FAILED, 0, -1, 10)) == ([], _seq(hub, ids[2]))
    assert await hub.retry_dead("q", limit=5) == Retried(5)
    assert await hub.clean("q", 0, 2, State.FAILED) == ids[5:7]
    assert await hub.retry_dead("q") == Retried(1)
    assert await bench.take_names() == ["a", "b", "c", "d", "e", "h"]


def _seq(hub: LocalHub, id: str) -> int | None:
    return hub.store.tx.identity.seq_of(id)


async def test_all_delayed_jobs_are_promoted_in_slices(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queues, "SLICE", 2)
    await bench.add(*"abcde", delay_ms=60_000)
    assert await bench.hub.promote_all("q") == 5
    assert await bench.hub.promote_all("q") == 0
    assert await bench.take_names() == list("abcde")


async def test_an_obliterated_queue_leaves_no_dependencies_and_no_counter(bench: Bench) -> None:
    hub = bench.hub
    (child,) = await bench.add("child", queue="other")
    await bench.add("parent", options=Options(depends_on=(child,)))
    added = bench.add("last")
    gone = hub.obliterate("q")
    await asyncio.gather(added, gone)
    left = "SELECT (SELECT count(*) FROM dependency), (SELECT count(*) FROM job), (SELECT count(*) FROM counter)"
    await bench.until(lambda: _is(hub, left, (0, 1, 1)))


async def _is(hub: LocalHub, sql: str, wanted: tuple[int, ...]) -> bool:
    return bool(await hub.run(lambda tx: tx.execute(sql).fetchone()) == wanted)


async def test_each_delayed_job_is_promoted_once_however_soon_it_fails_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after an outage that is not over: those that fail at once must not take the turns of those behind them."""
    monkeypatch.setattr(longwork, "SLICE", 2)
    await bench.add(*"abcdef", delay_ms=60_000, max_attempts=9)
    tried: list[str] = []

    async def work() -> None:
        while len(tried) < 6:
            for leased in await bench.hub.lease("q", owner="w", wait_ms=5000):
                tried.append(leased.job.name)
                await bench.end(leased, Retry(60, "no answer"))

    worker = asyncio.create_task(work())
    await bench.until(lambda: len(bench.hub._waiters.everyone()) == 1)
    assert await bench.hub.promote_all("q") == 6
    await worker
    assert tried == list("abcdef")
    assert (await bench.hub.counts("q")).delayed == 6
