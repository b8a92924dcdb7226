"""Workers over the public surface, near and far alike: leases, stopping, many at once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

import hubqueue
from hubqueue import RunningJob
from hubqueue.api.access import Access
from hubqueue.api.jobs import JobHandle
from hubqueue.errors import Invalid, JobFailed, LockLost
from hubqueue.work.events import Ended, Started, Taken, WorkerEvent
from support.waiting import PATIENCE_S, in_time, until


async def test_a_handler_longer_than_its_lease_keeps_it(hub: Access) -> None:
    async def handler(job: RunningJob) -> str:
        await asyncio.sleep(1.2)  # longer than the lease, which is the shortest there is
        return "done"

    job = await hub.queue("work").add("long")
    async with hub.worker("work", handler, lease=1):
        assert await job.result(timeout=PATIENCE_S) == "done"
    assert (await job.get()).attempts_made == 0


async def test_a_lost_lease_cancels_the_handler_and_settles_nothing(hub: Access) -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()
    events: list[WorkerEvent] = []

    async def handler(job: RunningJob) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            with pytest.raises(LockLost):
                await job.progress(1)
            raise

    await hub.queue("work").add("do")
    worker = hub.worker("work", handler, lease=1)
    worker.listen(events.append)
    async with worker, in_time():
        await begun.wait()
        await hub.queue("work").obliterate()
        await cancelled.wait()
    assert [event.outcome for event in events if isinstance(event, Ended)] == [None]


async def test_a_job_over_its_time_is_taken_from_its_handler(hub: Access) -> None:
    cancelled = asyncio.Event()

    async def handler(job: RunningJob) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    job = await hub.queue("work").add("slow", timeout=0.2, attempts=1)
    async with hub.worker("work", handler, lease=1), in_time():
        with pytest.raises(JobFailed, match="timeout"):
            await job.result()
        await cancelled.wait()
    assert (await job.get()).reason == "timeout"


async def test_a_cancelled_job_ends_its_handler_and_is_not_run_again(hub: Access) -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()

    async def handler(job: RunningJob) -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    job = await hub.queue("work").add("do")
    async with hub.worker("work", handler, lease=1), in_time():
        await begun.wait()
        await job.cancel(active=True)
        await cancelled.wait()
        with pytest.raises(JobFailed):
            await job.result()
    assert (await job.get()).reason == "cancelled"


async def test_stopping_lets_a_handler_end_within_the_grace(hub: Access) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def handler(job: RunningJob) -> str:
        begun.set()
        await go_on.wait()
        return "done"

    job = await hub.queue("work").add("do")
    worker = hub.worker("work", handler, grace=10)
    run = asyncio.create_task(worker.run())
    async with in_time():
        await begun.wait()
        stop = asyncio.create_task(worker.stop())
        await asyncio.sleep(0)
        go_on.set()
        await stop
        await run
    assert (await job.get()).result == "done"


@pytest.mark.parametrize("plain", [True, False])
async def test_stopping_releases_what_does_not_end_and_counts_nothing(hub: Access, plain: bool) -> None:
    begun, let_go = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    async def handler(job: RunningJob) -> None:
        begun.set()
        await asyncio.Event().wait()

    def plain_handler(job: RunningJob) -> None:
        loop.call_soon_threadsafe(begun.set)
        let_go.wait(30)

    job = await hub.queue("work").add("do")
    try:
        async with in_time(), hub.worker("work", plain_handler if plain else handler, grace=0.05):
            await begun.wait()
    finally:
        let_go.set()
    seen = await job.get()
    assert (seen.state, seen.attempts_made, seen.job.lost_count, seen.job.stall_count) == ("waiting", 0, 0, 0)


async def test_a_worker_whose_task_is_cancelled_releases_its_jobs(hub: Access) -> None:
    begun = asyncio.Event()

    async def handler(job: RunningJob) -> None:
        begun.set()
        await asyncio.Event().wait()

    job = await hub.queue("work").add("do")
    run = asyncio.create_task(hub.worker("work", handler).run())
    async with in_time():
        await begun.wait()
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
    seen = await job.get()
    assert (seen.state, seen.attempts_made) == ("waiting", 0)


async def settled(queue: hubqueue.Queue) -> bool:
    return (await queue.counts()).active == 0


async def test_jobs_leased_in_the_moment_of_stopping_are_not_lost(hub: Access) -> None:
    async def handler(job: RunningJob) -> None:
        await asyncio.Event().wait()

    queue = hub.queue("work")
    worker = hub.worker("work", handler, concurrency=10, grace=0)
    async with worker:
        adding = asyncio.create_task(queue.add_many([("do", n) for n in range(10)]))
        await asyncio.sleep(0)
    await adding
    await until(lambda: settled(queue))  # what a cancelled poll was given comes back by itself
    assert (await queue.counts()).waiting == 10
    assert [view.attempts_made async for view in queue.jobs()] == [0] * 10


@pytest.mark.parametrize("plain", [True, False])
async def test_every_job_runs_exactly_once_with_ten_at_a_time(hub: Access, plain: bool) -> None:
    ran: list[int] = []
    at_once, most = 0, 0
    lock, all_ten = threading.Lock(), threading.Event()

    def enter(n: int) -> None:
        nonlocal at_once, most
        with lock:
            ran.append(n)
            at_once += 1
            most = max(most, at_once)
            if at_once == 10:
                all_ten.set()

    def leave() -> None:
        nonlocal at_once
        with lock:
            at_once -= 1

    async def handler(job: RunningJob) -> int:
        enter(job.data)
        await until(all_ten.is_set)  # none ends before ten have begun
        leave()
        return int(job.data)

    def plain_handler(job: RunningJob) -> int:
        enter(job.data)
        assert all_ten.wait(PATIENCE_S)
        leave()
        return int(job.data)

    queue = hub.queue("work")
    jobs: list[JobHandle] = await queue.add_many([("do", n) for n in range(200)])
    async with hub.worker("work", plain_handler if plain else handler, concurrency=10), in_time():
        assert await asyncio.gather(*(job.result() for job in jobs)) == list(range(200))
    assert sorted(ran) == list(range(200))
    assert most == 10
    counts = await queue.counts()
    assert (counts.completed, counts.active, counts.waiting) == (200, 0, 0)


async def test_a_worker_tells_what_it_takes_starts_and_ends(hub: Access) -> None:
    events: list[WorkerEvent] = []
    job = await hub.queue("work").add("do")
    ended = asyncio.Event()

    def receive(event: WorkerEvent) -> None:
        events.append(event)
        if isinstance(event, Ended):
            ended.set()

    worker = hub.worker("work", lambda job: 7)
    worker.listen(receive)
    async with worker:
        await job.result(timeout=PATIENCE_S)
        await ended.wait()
    assert [type(event) for event in events] == [Taken, Started, Ended]
    assert isinstance(events[0], Taken)
    assert events[0].leased[0].job.id == job.id
    assert isinstance(events[2], Ended)
    assert isinstance(events[2].outcome, hubqueue.Complete)


async def test_a_worker_decorates_its_handler(hub: Access) -> None:
    @hub.worker("work", concurrency=2)
    async def handler(job: RunningJob) -> str:
        return "decorated"

    job = await hub.queue("work").add("do")
    async with handler:
        assert await job.result(timeout=PATIENCE_S) == "decorated"


async def test_a_worker_runs_only_once(hub: Access) -> None:
    worker = hub.worker("work", lambda job: None)
    async with worker:
        pass
    with pytest.raises(Invalid):
        await worker.run()


@pytest.mark.parametrize(
    "make",
    [
        lambda hub: hub.worker("", print),
        lambda hub: hub.worker("work", print, concurrency=0),
        lambda hub: hub.worker("work", print, lease=0.5),
        lambda hub: hub.worker("work", print, poll=3600),
    ],
)
async def test_a_worker_that_cannot_work_is_refused(hub: Access, make: Callable[[Access], object]) -> None:
    with pytest.raises(Invalid):
        make(hub)
