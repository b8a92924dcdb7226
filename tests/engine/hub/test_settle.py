"""complete, fail, release and settle: what becomes of a run."""

from __future__ import annotations

import pytest

from hubqueue.errors import Invalid, LockLost, NotFound, PayloadTooLarge, WrongState
from hubqueue.hub.verbs.settle import complete
from hubqueue.model.job import Flag, NewJob, Options
from hubqueue.model.limits import MAX_DATA_BYTES
from hubqueue.model.outcome import Blob, Complete, Fail, Output, Reject, Release, Retry, Settlement
from hubqueue.model.retry import Backoff
from hubqueue.model.state import State

from .conftest import Bench

SOON = Options(backoff=Backoff("fixed", 0))
LATER = Options(backoff=Backoff("fixed", 60_000))


async def test_a_completed_job_keeps_its_result(bench: Bench) -> None:
    ids = await bench.add("a", "b", "c")
    leased = await bench.take(3)
    for each, result in zip(leased, (b"\x01", None, b"\xc0"), strict=True):
        await bench.end(each, Complete(result))
    jobs = [await bench.get(id) for id in ids]
    assert [job.result for job in jobs] == [b"\x01", None, b"\xc0"]
    assert {job.state for job in jobs} == {State.COMPLETED}
    assert all(job.progress == 100 and job.finished_at_ms for job in jobs)


async def test_remove_on_complete_deletes_the_row(bench: Bench) -> None:
    (by_option, by_worker) = [
        *await bench.add("a", options=Options(remove_on_complete=True)),
        *await bench.add("b"),
    ]
    first, second = await bench.take(2)
    await bench.end(first, Complete())
    await bench.end(second, Complete(remove=True))
    for id in (by_option, by_worker):
        with pytest.raises(NotFound):
            await bench.get(id)


async def test_a_failed_job_is_retried_with_its_back_off_until_its_attempts_are_used(bench: Bench) -> None:
    (id,) = await bench.add("a", max_attempts=2, options=SOON)
    (first,) = await bench.take()
    await bench.end(first, Fail("one", stack=("line 1", "line 2")))
    job = await bench.get(id)
    assert (job.state, job.attempts, job.history.stack) == (State.WAITING, 1, ("line 1", "line 2"))
    (second,) = await bench.take()
    assert second.job.lease_no == first.job.lease_no + 1
    await bench.end(second, Fail("two"))
    job = await bench.get(id)
    assert (job.state, job.attempts) == (State.FAILED, 2)
    assert (job.history.reason, job.history.error) == ("max_attempts_exceeded", "two")
    assert [attempt.error for attempt in job.history.attempts] == ["one", "two"]


async def test_a_retry_comes_after_the_asked_time(bench: Bench) -> None:
    (id,) = await bench.add("a", options=LATER)
    (leased,) = await bench.take()
    await bench.end(leased, Retry(after_s=0.05, error="busy"))
    await bench.later(49)
    assert await bench.take() == []
    await bench.later(1)
    (again,) = await bench.hub.lease("q", owner="w", wait_ms=5000)
    assert (again.job.id, again.job.attempts) == (id, 1)


async def test_a_rejected_job_is_a_dead_letter_at_once(bench: Bench) -> None:
    (id,) = await bench.add("a", max_attempts=10)
    (leased,) = await bench.take()
    await bench.end(leased, Reject("no such sensor"))
    job = await bench.get(id)
    assert (job.state, job.history.reason, job.history.error) == (State.FAILED, "rejected", "no such sensor")


async def test_p5_a_release_counts_nothing_and_keeps_the_place(bench: Bench) -> None:
    await bench.add("a", "b", "c")
    (leased,) = await bench.take()
    for _ in range(20):
        await bench.end(leased, Release())
        (leased,) = await bench.take()
        assert (leased.job.name, leased.job.attempts, leased.job.lost_count) == ("a", 0, 0)
    await bench.end(leased, Release())
    assert await bench.take_names() == ["a", "b", "c"]


async def test_a_release_with_a_delay_waits(bench: Bench) -> None:
    (id,) = await bench.add("a")
    (leased,) = await bench.take()
    await bench.end(leased, Release(after_s=60))
    job = await bench.get(id)
    assert (job.state, job.attempts) == (State.DELAYED, 0)


async def test_remove_on_fail_keeps_no_dead_letter(bench: Bench) -> None:
    (id,) = await bench.add("a", max_attempts=1, options=Options(remove_on_fail=True))
    (leased,) = await bench.take()
    await bench.end(leased, Fail("x"))
    with pytest.raises(NotFound):
        await bench.get(id)


async def test_the_error_history_is_bounded(bench: Bench) -> None:
    (id,) = await bench.add("a", max_attempts=1000, options=SOON)
    for attempt in range(30):
        (leased,) = await bench.take()
        await bench.end(leased, Fail(f"error {attempt} " + "x" * 10_000))
    history = (await bench.get(id)).history
    assert len(history.attempts) == 20
    assert (history.attempts[-1].error or "").startswith("error 29 ")
    assert max(len(each.error or "") for each in history.attempts) == 4096


async def test_a_settlement_sent_twice_is_done_once(bench: Bench) -> None:
    (id,) = await bench.add("a", max_attempts=5, options=LATER)
    (leased,) = await bench.take()
    settlement = Settlement(id, leased.token, Fail("once"))
    outputs = [Output("out", NewJob())]
    assert len(await bench.hub.settle([settlement], outputs=outputs)) == 1
    assert await bench.hub.settle([settlement], outputs=outputs) == []
    assert (await bench.get(id)).attempts == 1
    assert (await bench.hub.counts("out")).waiting == 1


async def test_completing_many_answers_which_were_done_already(bench: Bench) -> None:
    ids = await bench.add("a", "b", "c")
    leased = await bench.take(3)
    await bench.end(leased[1], Complete())
    done = [(each.job.id, each.token, None, None) for each in leased]
    assert await bench.hub.run(lambda tx: complete(tx, [*done, done[0]])) == [1, 3]
    assert [(await bench.get(id)).state for id in ids] == [State.COMPLETED] * 3


async def test_completing_many_with_one_bad_token_completes_none(bench: Bench) -> None:
    ids = await bench.add("a", "b")
    leased = await bench.take(2)
    done = [(ids[0], leased[0].token, None, None), (ids[1], leased[0].token, None, None)]
    with pytest.raises(LockLost):
        await bench.hub.run(lambda tx: complete(tx, done))
    assert [(await bench.get(id)).state for id in ids] == [State.ACTIVE] * 2


@pytest.mark.parametrize("count", [1, 7, 8, 9, 64, 65, 256, 257, 700, 1000])
async def test_batches_of_any_size_are_completed_whole(bench: Bench, count: int) -> None:
    await bench.add(*["a"] * count)
    leased = await bench.take(1000)
    assert len(leased) == count
    done = [(each.job.id, each.token, b"\x01" if i % 3 else None, None) for i, each in enumerate(leased)]
    assert await bench.hub.run(lambda tx: complete(tx, done)) == []
    counts = await bench.hub.counts("q")
    assert (counts.completed, counts.active) == (count, 0)


async def test_p9_settle_is_all_or_nothing(bench: Bench) -> None:
    (a, b) = await bench.add("a", "b")
    first, second = await bench.take(2)
    good = Settlement(a, first.token, Complete())
    stale = Settlement(b, first.token, Complete())
    with pytest.raises(LockLost):
        await bench.hub.settle([good, stale], outputs=[Output("out", NewJob())], blobs=[Blob("window", "k", b"\x01")])
    assert (await bench.get(a)).state is State.ACTIVE
    assert (await bench.hub.counts("out")).waiting == 0
    assert await bench.hub.blob("window", "k") is None
    made = await bench.hub.settle(
        [good, Settlement(b, second.token, Reject("bad"))],
        outputs=[Output("out", NewJob(name="o", delay_ms=5000)), Output("out", NewJob(custom_id="mine"))],
        blobs=[Blob("window", "k", b"\x01")],
    )
    assert made[1] == "mine"
    assert [(await bench.get(id)).state for id in (a, b)] == [State.COMPLETED, State.FAILED]
    assert await bench.hub.blob("window", "k") == b"\x01"
    await bench.hub.settle([], blobs=[Blob("window", "k", None)])
    assert await bench.hub.blob("window", "k") is None


async def test_p9_of_two_writers_of_the_same_state_only_one_goes_on(bench: Bench) -> None:
    await bench.hub.settle([], blobs=[Blob("window", "run", b"one")])
    (a,) = await bench.add("a")
    (leased,) = await bench.take(1)
    ours = [Blob("window", "run", b"one")]
    await bench.hub.settle([], blobs=[Blob("window", "k", b"1")], expects=[*ours, Blob("window", "k", None)])
    await bench.hub.settle([], blobs=[Blob("window", "run", b"two")])
    with pytest.raises(WrongState):
        await bench.hub.settle(
            [Settlement(a, leased.token, Complete())],
            outputs=[Output("out", NewJob())],
            blobs=[Blob("window", "k", b"2")],
            expects=ours,
        )
    assert (await bench.get(a)).state is State.ACTIVE
    assert (await bench.hub.counts("out")).waiting == 0
    assert await bench.hub.blobs("window") == [("k", b"1"), ("run", b"two")]


async def test_state_blobs_are_read_in_pages(bench: Bench) -> None:
    stored = {f"{number:04}": bytes([number % 256]) * 40_000 for number in range(250)}
    await bench.hub.settle([], blobs=[Blob("many", key, value) for key, value in stored.items()])
    await bench.hub.settle([], blobs=[Blob("other", "x", b"1")])
    found: dict[str, bytes] = {}
    pages = 0
    while page := await bench.hub.blobs("many", after=max(found, default="")):
        found |= page
        pages += 1
    assert found == stored
    assert pages == 3  # 4 MB each at most
    assert await bench.hub.blobs("many", limit=2) == list(stored.items())[:2]


async def test_p9_a_settle_that_is_partly_repeated_is_refused_whole(bench: Bench) -> None:
    (a, b) = await bench.add("a", "b")
    first, second = await bench.take(2)
    await bench.end(first, Complete())
    both = [Settlement(a, first.token, Complete()), Settlement(b, second.token, Complete())]
    with pytest.raises(LockLost):
        await bench.hub.settle(both, outputs=[Output("out", NewJob())])
    assert (await bench.get(b)).state is State.ACTIVE
    assert (await bench.hub.counts("out")).waiting == 0


async def test_a_result_beyond_the_bound_is_refused_and_the_job_keeps_running(bench: Bench) -> None:
    (id,) = await bench.add("a")
    (leased,) = await bench.take()
    with pytest.raises(PayloadTooLarge):
        await bench.end(leased, Complete(b"\x00" * (MAX_DATA_BYTES + 1)))
    assert (await bench.get(id)).state is State.ACTIVE


async def test_events_tell_the_life_of_a_job(bench: Bench) -> None:
    heard = await bench.events()
    await bench.add("a", max_attempts=2, options=SOON)
    await bench.end((await bench.take())[0], Fail("once"))
    await bench.end((await bench.take())[0], Complete(b"\x07"))
    assert [event.kind for event in heard] == ["pushed", "pulled", "failed", "retried", "pulled", "completed"]
    assert (heard[2].error, heard[2].terminal) == ("once", False)
    assert heard[-1].data == b"\x07"


async def test_waiting_for_a_job_ends_with_it(bench: Bench) -> None:
    import asyncio

    (done, dead, gone) = await bench.add("done", "dead", "gone", max_attempts=1)
    waiting = [asyncio.create_task(bench.hub.wait(id, 10_000)) for id in (done, dead, gone)]
    await asyncio.sleep(0)
    first, second, third = await bench.take(3)
    await bench.end(first, Complete(b"\x01"))
    await bench.end(second, Fail("x"))
    await bench.end(third, Complete(remove=True))
    jobs = [await task for task in waiting]
    assert [job and job.state for job in jobs] == [State.COMPLETED, State.FAILED, State.COMPLETED]
    assert jobs[0] is not None
    assert jobs[0].result == b"\x01"
    assert await bench.hub.wait(done, 0) is not None
    assert bench.hub.store.tx.awaited == {}


async def test_nothing_is_kept_for_those_who_gave_up_waiting(bench: Bench) -> None:
    (id,) = await bench.add("a")
    assert await bench.hub.wait(id, 10) is None
    assert bench.hub.store.tx.awaited == {}
    with pytest.raises(NotFound):
        await bench.hub.wait("nowhere", 10)


async def test_a_durable_job_is_flagged_for_its_whole_life(bench: Bench) -> None:
    (id,) = await bench.add("a", options=Options(durable=True))
    syncs = bench.hub.store._syncer.count
    (leased,) = await bench.take()
    assert leased.job.flags & Flag.DURABLE
    await bench.end(leased, Complete())
    assert bench.hub.store._syncer.count > syncs
    assert (await bench.get(id)).options.durable


async def test_a_job_named_twice_in_one_settle_is_refused(bench: Bench) -> None:
    (id,) = await bench.add("a")
    (leased,) = await bench.take()
    for second in (Complete(), Fail("no")):
        twice = [Settlement(id, leased.token, Complete()), Settlement(id, leased.token, second)]
        with pytest.raises(Invalid, match="twice"):
            await bench.hub.settle(twice)
    assert (await bench.get(id)).state is State.ACTIVE
