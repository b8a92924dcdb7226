"""enqueue: ids, options, deduplication and bounds."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from hubqueue.errors import Draining, Duplicate, Invalid, PayloadTooLarge, QueueFull
from hubqueue.hub.settings import HubSettings
from hubqueue.model.bounds import QueueBounds
from hubqueue.model.job import Dedup, NewJob, Options
from hubqueue.model.limits import MAX_DATA_BYTES
from hubqueue.model.outcome import Complete, Fail, Reject
from hubqueue.model.state import State
from hubqueue.store import forwarded, ids

from .conftest import Bench


async def test_ids_are_unique_and_carry_the_hub(bench: Bench) -> None:
    ids = await bench.hub.enqueue("q", [NewJob()] * 1000)
    assert len(set(ids)) == 1000
    assert all(id.startswith(bench.hub.hub_id + "-") for id in ids)


async def test_ids_are_never_given_again_after_a_restart(bench: Bench) -> None:
    seen = set(await bench.add("a", "b"))
    for _ in range(3):
        await bench.reopen()
        (id,) = await bench.add("c")
        assert id not in seen
        seen.add(id)


async def test_every_option_is_kept(bench: Bench) -> None:
    options = Options(timeout_ms=1, ttl_ms=60_000, stall_timeout_ms=3, lifo=True, tags=("x", "é"), dedup=Dedup("k", 5))
    (id,) = await bench.add("näme", data=b"\xc4\x01\x00", priority=-3, max_attempts=7, options=options)
    await bench.reopen()
    job = await bench.get(id)
    assert (job.name, job.data, job.priority, job.max_attempts) == ("näme", b"\xc4\x01\x00", -3, 7)
    assert job.options == options


async def test_absent_data_is_not_null_data(bench: Bench) -> None:
    absent, null, empty = await bench.hub.enqueue("q", [NewJob(), NewJob(data=b"\xc0"), NewJob(data=b"")])
    assert [(await bench.get(id)).data for id in (absent, null, empty)] == [None, b"\xc0", b""]


async def test_plain_and_special_jobs_in_one_batch_keep_their_order(bench: Bench) -> None:
    jobs = [NewJob(name=str(n), options=Options(durable=True) if n % 3 == 0 else None) for n in range(120)]
    await bench.hub.enqueue("q", jobs)
    assert await bench.take_names(200) == [str(n) for n in range(120)]


@pytest.mark.parametrize("count", [0, 1, 9, 10, 11, 49, 50, 51, 60, 61, 10_000])
async def test_batches_of_any_size_are_stored_whole(bench: Bench, count: int) -> None:
    ids = await bench.hub.enqueue("q", [NewJob(name=f"n{n}", data=b"\x01", priority=n % 2) for n in range(count)])
    assert len(ids) == count
    counts = await bench.hub.counts("q")
    assert (counts.waiting, counts.prioritized) == (count - count // 2, count // 2)


@pytest.mark.parametrize(
    "job",
    [
        NewJob(name=""),
        NewJob(name="x" * 257),
        NewJob(name="\ud800"),
        NewJob(priority=2**63),
        NewJob(priority=1_000_001),
        NewJob(delay_ms=-1),
        NewJob(delay_ms=31_536_000_001),
        NewJob(max_attempts=0),
        NewJob(max_attempts=1001),
        NewJob(custom_id=""),
        NewJob(custom_id="x" * 1025),
        NewJob(run_at_ms=-1),
        NewJob(run_at_ms=2**63),
        NewJob(options=Options(ttl_ms=-1)),
        NewJob(options=Options(tags=("x" * 257,))),
        NewJob(options=Options(dedup=Dedup(""))),
    ],
)
async def test_a_bad_job_refuses_the_whole_batch(bench: Bench, job: NewJob) -> None:
    with pytest.raises(Invalid):
        await bench.hub.enqueue("q", [NewJob(), job])
    assert (await bench.hub.counts("q")).waiting == 0


@pytest.mark.parametrize("queue", ["", "x" * 257, "a b", "ä", "a/b", "a\n"])
async def test_a_bad_queue_name_is_refused(bench: Bench, queue: str) -> None:
    with pytest.raises(Invalid, match="Queue name"):
        await bench.hub.enqueue(queue, [NewJob()])


async def test_data_beyond_the_bound_is_refused(bench: Bench) -> None:
    with pytest.raises(PayloadTooLarge):
        await bench.hub.enqueue("q", [NewJob(data=b"\x00" * (MAX_DATA_BYTES + 1))])


async def test_an_id_of_our_own_form_cannot_be_chosen(bench: Bench) -> None:
    with pytest.raises(Invalid, match="form of this hub"):
        await bench.add("a", custom_id=f"{bench.hub.hub_id}-77")


async def test_an_own_id_that_stands_is_answered_and_stores_nothing(bench: Bench) -> None:
    (first,) = await bench.add("a", custom_id="mine")
    (again,) = await bench.add("b", custom_id="mine")
    assert first == again == "mine"
    assert (await bench.get("mine")).name == "a"
    assert (await bench.hub.counts("q")).waiting == 1


@pytest.mark.parametrize("active", [False, True])
async def test_an_own_id_of_a_living_job_is_refused_in_another_queue_with_the_whole_batch(
    bench: Bench, active: bool
) -> None:
    await bench.add("a", custom_id="mine")
    if active:
        await bench.take()
    with pytest.raises(Duplicate, match=r"The id mine is that of a job in queue q\b"):
        await bench.hub.enqueue("other", [NewJob(name="beside"), NewJob(name="b", custom_id="mine")])
    counts = await bench.hub.counts("other")
    assert (counts.waiting, (await bench.get("mine")).name) == (0, "a")
    assert await bench.hub.enqueue("other", [NewJob(name="beside")])  # what was refused has left nothing behind


async def test_an_own_id_of_an_ended_job_is_free_for_any_queue(bench: Bench) -> None:
    await bench.add("a", custom_id="mine")
    await bench.end((await bench.take())[0], Complete())
    await bench.add("b", custom_id="mine", queue="other")
    job = await bench.get("mine")
    assert (job.name, job.queue, (await bench.hub.counts("q")).completed) == ("b", "other", 0)


async def test_an_own_id_of_an_obliterated_queue_is_free(bench: Bench) -> None:
    await bench.add("a", custom_id="mine")
    await bench.hub.obliterate("q")
    await bench.add("b", custom_id="mine", queue="other")
    assert (await bench.get("mine")).queue == "other"


@pytest.mark.parametrize("id", ["fwd:0123456789ab:readings:7", "once:abc"])
async def test_ids_that_are_sent_again_by_themselves_are_answered_wherever_they_stand(bench: Bench, id: str) -> None:
    await bench.add("a", custom_id=id)
    assert await bench.add("b", custom_id=id, queue="other") == [id]
    assert (await bench.get(id)).queue == "q"


@pytest.mark.parametrize("outcome", [Complete(), Fail("x")])
async def test_a_custom_id_of_a_finished_job_starts_a_new_generation(bench: Bench, outcome: Complete | Fail) -> None:
    await bench.add("a", custom_id="mine", max_attempts=1)
    await bench.end((await bench.take())[0], outcome)
    await bench.add("b", custom_id="mine")
    job = await bench.get("mine")
    assert (job.name, job.state) == ("b", State.WAITING)
    counts = await bench.hub.counts("q")
    assert (counts.completed, counts.failed, counts.waiting) == (0, 0, 1)


@pytest.mark.parametrize("id", ["fwd:0123456789ab:readings:7", "once:abc", "fwd:0123456789ab:a:b:c:7"])
@pytest.mark.parametrize("remove", [False, True])
async def test_p6_forwarded_and_once_ids_stay_idempotent_after_the_job_has_finished(
    bench: Bench, id: str, remove: bool
) -> None:
    await bench.add("a", custom_id=id)
    await bench.end((await bench.take())[0], Complete(remove=remove))
    assert await bench.add("again", custom_id=id) == [id]
    await bench.reopen()
    assert await bench.add("again", custom_id=id) == [id]
    assert await bench.take() == []


async def test_p6_a_once_id_stays_idempotent_after_its_job_was_removed(bench: Bench) -> None:
    """A resend is older than what has taken its place, and than whoever has cancelled it."""
    key = Options(dedup=Dedup("k", replace=True))
    await bench.add("on", custom_id="once:on", options=key)
    await bench.add("off", custom_id="once:off", options=key)
    await bench.add("gone", custom_id="once:gone")
    await bench.hub.cancel("once:gone")
    assert await bench.add("on", custom_id="once:on", options=key) == ["once:on"]
    assert await bench.add("gone", custom_id="once:gone") == ["once:gone"]
    assert await bench.take_names() == ["off"]
    assert await bench.take() == []


async def test_p6_a_forwarded_id_is_known_below_the_floor_of_its_sender(bench: Bench) -> None:
    await bench.add("a", custom_id="fwd:aa:q1:5")
    await bench.end((await bench.take())[0], Complete(remove=True))
    await bench.hub.run(lambda tx: forwarded.raise_floor(tx, "aa", "q1", 6))
    await bench.add("x", custom_id="fwd:aa:q1:5")
    await bench.add("x", custom_id="fwd:aa:q1:4")
    assert await bench.take() == []
    await bench.add("new", custom_id="fwd:aa:q1:6")
    assert await bench.take_names() == ["new"]


async def test_p6_a_forwarded_job_that_the_floor_has_passed_is_still_called_by_its_id(bench: Bench) -> None:
    await bench.add("a", "b", custom_id="fwd:aa:q1:5")
    await bench.hub.run(lambda tx: forwarded.raise_floor(tx, "aa", "q1", 100))
    await bench.end((await bench.take())[0], Reject("no"))
    assert (await bench.get("fwd:aa:q1:5")).state is State.FAILED
    await bench.hub.retry("fwd:aa:q1:5")
    await bench.end((await bench.take())[0], Complete(remove=True))
    kept = await bench.hub.run(lambda tx: tx.execute("SELECT count(*) FROM forward_id").fetchone()[0])
    assert kept == 0
    assert await bench.add("again", custom_id="fwd:aa:q1:5") == ["fwd:aa:q1:5"]
    assert await bench.take() == []


async def test_p6_the_floor_is_raised_in_steps_that_are_never_long(bench: Bench) -> None:
    for start in range(0, 5000, 1000):
        jobs = [NewJob(custom_id=f"fwd:aa:q1:{seq}") for seq in range(start, start + 1000)]
        await bench.hub.enqueue("q", jobs)
    await bench.hub.drain("q")

    async def left() -> int:
        counted: int = await bench.hub.run(lambda tx: tx.execute("SELECT count(*) FROM forward_id").fetchone()[0])
        return counted

    remembered = []
    for _ in range(3):
        await bench.hub.run(lambda tx: forwarded.raise_floor(tx, "aa", "q1", 5000))
        remembered.append(await left())
    assert remembered == [3000, 1000, 0]


async def test_p6_a_forwarded_id_is_forgotten_after_its_time_but_never_while_its_job_is_there(bench: Bench) -> None:
    await bench.add("a", custom_id="fwd:aa:q1:1")
    await bench.add("b", custom_id="fwd:aa:q1:2")
    gone, there = await bench.take(2)
    await bench.end(gone, Complete(remove=True))
    await bench.end(there, Complete())
    soon = bench.hub.store.clock.now_ms() + 1000
    assert await bench.hub.run(lambda tx: ids.expire(tx, soon, 1000, 100)) == 1
    assert (await bench.get("fwd:aa:q1:2")).state is State.COMPLETED
    assert await bench.add("x", "y", custom_id="fwd:aa:q1:2") == ["fwd:aa:q1:2"] * 2
    await bench.add("new", custom_id="fwd:aa:q1:1")
    assert await bench.take_names() == ["new"]


async def test_p6_only_so_many_forwarded_ids_are_kept_and_the_oldest_go_first(bench: Bench) -> None:
    async def remembered() -> list[tuple[str, int]]:
        rows: list[tuple[str, int]] = await bench.hub.run(
            lambda tx: tx.execute(
                "SELECT queue, source_seq FROM forward_id JOIN forward_source ON source = id ORDER BY 1, 2"
            ).fetchall()
        )
        return rows

    async def counted() -> int:
        total: int = await bench.hub.run(lambda tx: tx.execute("SELECT sum(gone) FROM forward_source").fetchone()[0])
        return total

    for seq in range(6):
        await bench.add(f"{seq}", custom_id=f"fwd:aa:q{seq % 2}:{seq}")
        (leased,) = await bench.take(1)
        await bench.end(leased, Complete(remove=True))
        await bench.later(1)  # each has its own millisecond, so that there is an oldest
    await bench.add("there", custom_id="fwd:aa:q0:100")
    assert await counted() == 6
    assert await bench.hub.run(lambda tx: ids.expire(tx, 0, 6, 100)) == 0
    assert await bench.hub.run(lambda tx: ids.expire(tx, 0, 3, 2)) == 2
    assert await bench.hub.run(lambda tx: ids.expire(tx, 0, 3, 2)) == 1
    assert await bench.hub.run(lambda tx: ids.expire(tx, 0, 3, 2)) == 0
    assert await remembered() == [("q0", 4), ("q0", 100), ("q1", 3), ("q1", 5)]
    await bench.hub.run(lambda tx: forwarded.raise_floor(tx, "aa", "q1", 5))
    assert await counted() == 2
    assert await bench.add("x", custom_id="fwd:aa:q1:3") == ["fwd:aa:q1:3"]
    assert await bench.hub.run(lambda tx: ids.expire(tx, tx.now_ms, 0, 100)) == 2
    assert await counted() == 0
    assert await remembered() == [("q0", 100)]


async def test_a_dedup_key_is_held_while_its_job_waits_runs_and_is_retried(bench: Bench) -> None:
    once = Options(dedup=Dedup("k"))
    (id,) = await bench.add("a", options=once)
    assert await bench.add("b", options=once) == [id]
    (leased,) = await bench.take()
    assert await bench.add("c", options=once) == [id]
    await bench.end(leased, Fail("x"))
    assert await bench.add("d", options=once) == [id]
    await bench.hub.promote(id)
    await bench.end((await bench.take())[0], Complete())
    (fresh,) = await bench.add("e", options=once)
    assert fresh != id


async def test_a_dedup_key_counts_in_its_own_queue_only(bench: Bench) -> None:
    once = Options(dedup=Dedup("k"))
    (a,) = await bench.add("a", options=once)
    (b,) = await bench.add("b", options=once, queue="other")
    assert a != b


async def test_a_dedup_key_with_ttl_outlives_its_job(bench: Bench) -> None:
    throttle = Options(dedup=Dedup("k", ttl_ms=100))
    (id,) = await bench.add("a", options=throttle)
    await bench.end((await bench.take())[0], Complete())
    await bench.later(99)
    assert await bench.add("b", options=throttle) == [id]
    await bench.later(1)
    (other,) = await bench.add("b", options=throttle)
    assert other != id


async def test_extend_renews_the_key_of_a_finished_job(bench: Bench) -> None:
    debounce = Options(dedup=Dedup("k", ttl_ms=150, extend=True))
    (id,) = await bench.add("a", options=debounce)
    await bench.end((await bench.take())[0], Complete())
    for _ in range(6):
        await bench.later(149)
        assert await bench.add("b", options=debounce) == [id]
    await bench.later(150)
    assert await bench.add("b", options=debounce) != [id]


async def test_replace_takes_the_place_of_a_waiting_job_but_lets_a_running_one_run(bench: Bench) -> None:
    latest = Options(dedup=Dedup("k", replace=True))
    (old,) = await bench.add("old", options=latest)
    (new,) = await bench.add("new", options=latest)
    assert new != old
    (leased,) = await bench.take()
    assert leased.job.name == "new"
    (newer,) = await bench.add("newer", options=latest)
    assert newer not in (old, new)
    await bench.end(leased, Complete())
    assert await bench.add("x", options=Options(dedup=Dedup("k"))) == [newer]


@pytest.fixture
def settings(request: pytest.FixtureRequest) -> HubSettings:
    return getattr(request, "param", HubSettings(grace_s=0.2))


REJECT = HubSettings(queues={"q": QueueBounds(max_jobs=3)})
DROP = HubSettings(queues={"q": QueueBounds(max_jobs=3, on_full="drop-oldest")})


@pytest.mark.parametrize("settings", [REJECT], indirect=True)
async def test_p10_a_full_queue_refuses_with_a_hint_and_keeps_what_it_has(bench: Bench) -> None:
    await bench.add("a", "b")
    with pytest.raises(QueueFull, match="at most 3 jobs") as refused:
        await bench.add("c", "d")
    assert refused.value.hint
    await bench.add("c")
    assert await bench.take_names() == ["a", "b", "c"]
    await bench.add("d", "e", "f", queue="other")
    await bench.add("d", "e", queue="other")


@pytest.mark.parametrize("settings", [DROP], indirect=True)
async def test_p10_drop_oldest_drops_counts_and_tells(bench: Bench) -> None:
    heard = await bench.events()
    await bench.add("a", "b", "c")
    await bench.add("d", "e")
    assert [event.kind for event in heard].count("evicted") == 2
    assert bench.hub.store.evicted == 2
    assert await bench.take_names() == ["c", "d", "e"]
    with pytest.raises(QueueFull):
        await bench.add("1", "2", "3", "4")


async def test_p10_a_hub_that_shuts_down_refuses_clearly(bench: Bench) -> None:
    waiting = asyncio.create_task(bench.hub.lease("q", owner="w", wait_ms=30_000))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    bench.hub.drain_off()
    assert await waiting == []
    with pytest.raises(Draining):
        await bench.add("a")


async def test_every_job_of_a_durable_queue_is_durable(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "hub.db", HubSettings(queues={"safe": QueueBounds(durable=True)}))
    await bench.open()
    try:
        plain, safe = await bench.add("a"), await bench.add("a", "b", queue="safe")
        assert [(await bench.get(id)).options.durable for id in (*plain, *safe)] == [False, True, True]
    finally:
        await bench.hub.close()
