"""Limits of queues, and groups that take turns."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from hubqueue.errors import QueueFull
from hubqueue.hub.verbs import throttle
from hubqueue.hub.verbs.lease import lease
from hubqueue.model.job import NewJob, Options
from hubqueue.model.outcome import Complete, Fail
from hubqueue.model.throttle import Bucket, Pull, QueueLimits, Rate
from support.waiting import soon

from .conftest import Bench


async def grouped(bench: Bench, *names: str, **options: Any) -> list[str]:
    """Jobs named like "a1": group "a"."""
    return await bench.hub.enqueue("q", [NewJob(name=n, options=Options(group=n[0], **options)) for n in names])


async def pull(bench: Bench, count: int = 100, **fields: Any) -> list[str]:
    got = await bench.hub.run(lambda tx: lease(tx, "q", count, "w", 30_000, Pull(**fields)))
    bench.held = [*getattr(bench, "held", []), *got]  # type: ignore[attr-defined]
    return [each.job.name for each in got]


def test_a_bucket_allows_a_burst_and_then_refills_evenly() -> None:
    bucket = Bucket(Rate(3, 1000), 0)
    assert bucket.available(0) == 3
    bucket.take(3)
    assert (bucket.available(0), bucket.wait_ms()) == (0, 334)
    assert bucket.available(400) == 1
    assert bucket.available(10_000) == 3
    assert Bucket(Rate(0, 1000), 0).wait_ms() is None


async def test_a_rate_lets_a_burst_through_and_then_one_after_the_other(bench: Bench) -> None:
    await bench.add(*[str(n) for n in range(6)])
    await bench.hub.run(lambda tx: throttle.set_rate(tx, "q", Rate(3, 300)))
    assert await bench.take_names() == ["0", "1", "2"]
    assert await bench.take_names() == []
    for expected in ("3", "4"):  # woken by the refill, not by a poll
        waiting = asyncio.create_task(bench.hub.lease("q", owner="w", wait_ms=60_000))
        await bench.until(lambda: bench.hub._waiters.everyone())
        await bench.later(98)
        assert await bench.take_names() == []
        await bench.later(3)
        assert [each.job.name for each in await soon(waiting)] == [expected]


async def test_a_rate_of_zero_blocks_and_clearing_it_wakes_the_waiting(bench: Bench) -> None:
    await bench.add("a")
    await bench.hub.run(lambda tx: throttle.set_rate(tx, "q", Rate(0)))
    waiting = asyncio.create_task(bench.hub.lease("q", owner="w", wait_ms=10_000))
    await asyncio.sleep(0)
    assert await bench.take() == []
    await bench.hub.run(lambda tx: throttle.set_rate(tx, "q", None))
    assert [each.job.name for each in await waiting] == ["a"]


async def test_a_rate_with_a_ttl_ends_by_itself(bench: Bench) -> None:
    await bench.add("a")
    until = bench.now_ms + 30
    await bench.hub.run(lambda tx: throttle.set_rate(tx, "q", Rate(0, 1000, until)))
    assert await bench.take() == []
    await bench.later(29)
    assert await bench.take() == []
    await bench.later(1)
    assert await bench.take_names() == ["a"]
    assert await bench.hub.run(lambda tx: throttle.queue_limits(tx, "q")) == QueueLimits()


async def test_a_concurrency_limit_counts_jobs_that_were_active_already(bench: Bench) -> None:
    await bench.add("a", "b", "c")
    first = await bench.take(2)
    await bench.hub.run(lambda tx: throttle.set_concurrency(tx, "q", 2))
    assert await bench.take() == []
    waiting = asyncio.create_task(bench.hub.lease("q", owner="w", wait_ms=10_000))
    await asyncio.sleep(0)
    await bench.end(first[0], Fail("x"))
    assert [each.job.name for each in await waiting] == ["c"]


async def test_limits_survive_a_restart(bench: Bench) -> None:
    await bench.add("a", "b")
    await bench.hub.run(lambda tx: throttle.set_concurrency(tx, "q", 1))
    await bench.hub.run(lambda tx: throttle.set_rate(tx, "q", Rate(5, 2000)))
    await bench.reopen()
    assert await bench.hub.run(lambda tx: throttle.queue_limits(tx, "q")) == QueueLimits(Rate(5, 2000), 1)
    assert await bench.take_names() == ["a"]


async def test_a_group_of_verbs_that_fails_gives_its_tokens_back(bench: Bench) -> None:
    await bench.add("a", "b")
    await bench.hub.run(lambda tx: throttle.set_rate(tx, "q", Rate(2, 3_600_000)))

    def lease_and_fail(tx: Any) -> None:
        assert len(lease(tx, "q", 2, "w", 1000)) == 2
        raise RuntimeError("a defect")

    with pytest.raises(Exception, match="Internal error"):
        await bench.hub.run(lease_and_fail)
    assert await bench.take_names() == ["a", "b"]


async def test_groups_take_turns_after_the_plain_jobs(bench: Bench) -> None:
    await grouped(bench, "a1", "a2", "a3", "b1", "c1")
    await bench.add("plain")
    assert await pull(bench) == ["plain", "a1", "b1", "c1", "a2", "a3"]


async def test_a_served_group_goes_to_the_end_of_the_line(bench: Bench) -> None:
    await grouped(bench, "a1", "a2", "b1")
    assert await pull(bench, 1) == ["a1"]
    await grouped(bench, "c1")
    assert await pull(bench) == ["b1", "a2", "c1"]


async def test_inside_a_group_the_lowest_priority_number_goes_first(bench: Bench) -> None:
    jobs = [NewJob(name=f"p{p}", priority=p, options=Options(group="g", lifo=p == 2)) for p in (2, 0, 1, 0)]
    await bench.hub.enqueue("q", jobs)
    assert await pull(bench) == ["p0", "p0", "p1", "p2"]


async def test_a_default_concurrency_holds_each_group(bench: Bench) -> None:
    await grouped(bench, "a1", "a2", "b1")
    assert await pull(bench, concurrency=1) == ["a1", "b1"]
    assert await pull(bench, concurrency=1) == []
    await bench.end(bench.held[0], Complete())  # type: ignore[attr-defined]
    assert await pull(bench, concurrency=1) == ["a2"]


async def test_a_stored_limit_counts_only_where_the_lease_carries_the_default(bench: Bench) -> None:
    await grouped(bench, "a1", "a2", "a3")
    assert not await bench.hub.run(lambda tx: throttle.set_group_concurrency(tx, "q", "a", 1))
    assert await pull(bench, concurrency=5) == ["a1"]
    assert await pull(bench) == ["a2", "a3"]
    assert await bench.hub.run(lambda tx: throttle.set_group_concurrency(tx, "q", "a", None))


async def test_a_group_rate_is_a_window_that_its_first_job_starts(bench: Bench) -> None:
    await grouped(bench, "a1", "a2", "a3", "b1")
    rate = Rate(2, 200)
    assert await pull(bench, rate=rate) == ["a1", "b1", "a2"]
    await bench.later(199)
    assert await pull(bench, rate=rate) == []
    await bench.later(1)
    assert await pull(bench, rate=rate) == ["a3"]


async def test_a_paused_or_blocked_group_lets_the_others_go_on(bench: Bench) -> None:
    await grouped(bench, "a1", "b1", "c1")
    assert await bench.hub.run(lambda tx: throttle.pause_group(tx, "q", "a", paused=True))
    assert not await bench.hub.run(lambda tx: throttle.pause_group(tx, "q", "a", paused=True))
    await bench.hub.run(lambda tx: throttle.block_group(tx, "q", "b", 100))
    assert await pull(bench) == ["c1"]
    await bench.reopen()
    assert await pull(bench) == ["b1"]  # a block is not stored, a pause is
    assert await bench.hub.run(lambda tx: throttle.is_group_paused(tx, "q", "a"))
    waiting = asyncio.create_task(bench.hub.lease("q", owner="w", wait_ms=10_000))
    await asyncio.sleep(0)
    await bench.hub.run(lambda tx: throttle.pause_group(tx, "q", "a", paused=False))
    assert [each.job.name for each in await waiting] == ["a1"]


async def test_a_block_that_ends_wakes_the_waiting(bench: Bench) -> None:
    await grouped(bench, "a1")
    await bench.hub.run(lambda tx: throttle.block_group(tx, "q", "a", 60))
    waiting = asyncio.create_task(bench.hub.lease("q", owner="w", wait_ms=60_000))
    await bench.until(lambda: bench.hub._waiters.everyone())
    await bench.later(59)
    assert await pull(bench) == []
    await bench.later(1)
    assert [each.job.name for each in await soon(waiting)] == ["a1"]


async def test_affinity_takes_one_group_or_none(bench: Bench) -> None:
    await grouped(bench, "a1", "b1", "b2")
    await bench.add("plain")
    assert await pull(bench, group="b") == ["b1", "b2"]
    assert await pull(bench, plain_only=True) == ["plain"]
    assert await pull(bench, group="nowhere") == []
    assert await pull(bench) == ["a1"]


async def test_p10_a_full_group_refuses_the_whole_batch(bench: Bench) -> None:
    await grouped(bench, "a1", group_max_size=2)
    with pytest.raises(QueueFull, match="Group a has reached its maximum size of 2"):
        await grouped(bench, "a2", "b1", "a3", group_max_size=2)
    assert await bench.hub.run(lambda tx: throttle.groups_count(tx, "q")) == 1
    await bench.check_counters()
    await grouped(bench, "a2", group_max_size=2)


async def test_the_counts_of_groups_follow_their_jobs(bench: Bench) -> None:
    (a1, a2, _) = await grouped(bench, "a1", "a2", "b1")
    (later,) = await bench.add("later", delay_ms=60_000, options=Options(group="a"))
    counts = lambda: bench.hub.run(lambda tx: throttle.group_counts(tx, "q", "a"))  # noqa: E731
    assert await counts() == (3, 0)
    await pull(bench, 1)
    assert await counts() == (2, 1)
    await bench.end(bench.held[0], Fail("x"))  # type: ignore[attr-defined]
    assert await counts() == (3, 0)
    await bench.hub.cancel(a2)
    await bench.hub.promote(later)
    await bench.hub.promote(a1)
    assert await counts() == (2, 0)
    await bench.hub.drain("q")
    assert await counts() == (0, 0)
    assert await bench.hub.run(lambda tx: throttle.groups_count(tx, "q")) == 0
