"""Runs of tasks over a real hub in this process: places, turns, time, and ends that do not come."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from hubqueue.client.local import LocalHub
from hubqueue.hub.verbs.leased import read_logs
from hubqueue.model.job import Job, NewJob
from hubqueue.model.outcome import Release, Retry
from hubqueue.model.state import State
from hubqueue.work.execution import Execution
from hubqueue.work.messages import FromChild, Started, Stopped, Stuck
from hubqueue.work.registry import AnyTask, Registry, task
from hubqueue.work.running import RunningJob
from hubqueue.work.worker import Worker
from support.waiting import until


class Bench:
    """A hub, and workers that run tasks on it; everything the execution reports is kept."""

    def __init__(self, hub: LocalHub, stack: AsyncExitStack) -> None:
        self.hub = hub
        self.reports: list[FromChild] = []
        self._stack = stack

    async def serve(self, *tasks: AnyTask, **options: Any) -> Execution:
        registry = Registry()
        for one in tasks:
            registry.add(one)
        self.execution = Execution(registry, self.reports.append, **options)
        for queue, concurrency in registry.queues().items():
            self.worker = Worker(self.hub, queue, self.execution.run, concurrency=concurrency, lease_ms=1000, grace_s=0)
            await self._stack.enter_async_context(self.worker)
        return self.execution

    async def push(self, *names: str, **options: Any) -> list[str]:
        options = {"max_attempts": 1, **options}
        return await self.hub.enqueue("default", [NewJob(name=name, **options) for name in names])

    async def end(self, id: str) -> Job:
        job = await self.hub.wait(id, 20_000)
        assert job is not None, "the job did not end"
        return job


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with AsyncExitStack() as stack:
        yield Bench(await stack.enter_async_context(await LocalHub.open(tmp_path / "jobs.db")), stack)


async def test_async_and_plain_functions_complete_their_jobs(bench: Bench) -> None:
    @task("async")
    async def in_loop(job: RunningJob) -> Any:
        return [job.name, threading.current_thread() is threading.main_thread()]

    @task("plain")
    def in_thread(job: RunningJob) -> Any:
        return [job.name, threading.current_thread() is threading.main_thread()]

    await bench.serve(in_loop, in_thread)
    one, other = await bench.push("async", "plain")
    assert (await bench.end(one)).result == b"\x92\xa5async\xc3"
    assert (await bench.end(other)).result == b"\x92\xa5plain\xc2"
    assert [report for report in bench.reports if getattr(report, "id", "") == one] == [Started(one), Stopped(one)]


async def test_a_task_runs_no_more_jobs_at_once_than_it_says(bench: Bench) -> None:
    together: list[int] = []
    running = 0

    def plain(job: RunningJob) -> None:
        nonlocal running
        running += 1
        together.append(running)
        time.sleep(0.01)  # the work
        running -= 1

    await bench.serve(task("one")(plain), task("three", concurrency=3)(lambda job: time.sleep(0.01)))
    ids = await bench.push(*["one"] * 10, *["three"] * 10)
    for id in ids:
        assert (await bench.end(id)).state is State.COMPLETED
    assert max(together) == 1


async def test_an_async_function_over_its_time_is_cancelled_and_failed(bench: Bench) -> None:
    seen: list[str] = []

    @task("slow", timeout_s=0.05)
    async def slow(job: RunningJob) -> None:
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            seen.append("cleaned up")
            raise

    await bench.serve(slow)
    (id,) = await bench.push("slow")
    job = await bench.end(id)
    assert (job.state, job.history.reason, job.history.error) == (
        State.FAILED,
        "timeout",
        "'slow' was not done within 0.05 s",
    )
    assert seen == ["cleaned up"]
    assert not any(isinstance(report, Stuck) for report in bench.reports)


async def test_the_timeout_error_of_a_handler_is_its_own_failure(bench: Bench) -> None:
    @task("own", timeout_s=60)
    async def own(job: RunningJob) -> None:
        async with asyncio.timeout(0.01):
            await asyncio.sleep(600)

    await bench.serve(own)
    (id,) = await bench.push("own")
    assert (await bench.end(id)).history.reason == "max_attempts_exceeded"


async def test_a_plain_function_a_little_over_its_time_still_counts(bench: Bench) -> None:
    go_on = threading.Event()

    @task("late", timeout_s=0.05)
    def late(job: RunningJob) -> str:
        go_on.wait(20)
        return "done"

    await bench.serve(late, stop_s=20)
    (id,) = await bench.push("late")
    await until(lambda: Started(id) in bench.reports)
    asyncio.get_running_loop().call_later(0.2, go_on.set)
    assert (await bench.end(id)).result == b"\xa4done"


@pytest.mark.parametrize("kind", ["plain", "async"])
async def test_a_function_that_does_not_end_is_failed_and_reported_and_keeps_its_place(bench: Bench, kind: str) -> None:
    go_on = threading.Event()

    @task("stuck", timeout_s=0.05)
    def plain(job: RunningJob) -> None:
        go_on.wait(60)

    @task("stuck", timeout_s=0.05)
    async def stubborn(job: RunningJob) -> None:
        while not go_on.is_set():
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                pass

    ran: list[str] = []
    others = task("other")(lambda job: ran.append(job.id))
    execution = await bench.serve(plain if kind == "plain" else stubborn, others, stop_s=0.05)
    (first,) = await bench.push("stuck")
    job = await bench.end(first)
    assert job.history.reason == "timeout"
    assert Stuck(first, "stuck") in bench.reports
    assert execution.running == 1

    second, other = await bench.push("stuck", "other")
    assert (await bench.end(other)).state is State.COMPLETED, "other tasks go on"
    assert Started(second) not in bench.reports, "its place is taken until the function ends"
    go_on.set()
    await until(lambda: Stopped(first) in bench.reports)
    await until(lambda: Started(second) in bench.reports)


async def test_a_function_that_runs_on_after_its_job_was_cancelled_is_reported(bench: Bench) -> None:
    go_on = threading.Event()

    @task("lost")
    def lost(job: RunningJob) -> None:
        go_on.wait(60)

    await bench.serve(lost, stop_s=0.05)
    (id,) = await bench.push("lost")
    await until(lambda: Started(id) in bench.reports)
    await bench.hub.cancel(id, active=True)
    await until(lambda: Stuck(id, "lost") in bench.reports)
    go_on.set()
    await until(lambda: Stopped(id) in bench.reports)


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()])
@pytest.mark.parametrize("kind", ["plain", "async"])
async def test_a_handler_that_exits_fails_only_its_job(bench: Bench, kind: str, error: BaseException) -> None:
    def plain(job: RunningJob) -> None:
        raise error

    async def in_loop(job: RunningJob) -> None:
        raise error

    handler: Callable[[RunningJob], Any] = plain if kind == "plain" else in_loop
    await bench.serve(task("exits")(handler), task("fine")(lambda job: "fine"))
    exits, fine = await bench.push("exits", "fine")
    assert (await bench.end(exits)).history.error == f"the handler tried to end its process ({type(error).__name__})"
    assert (await bench.end(fine)).state is State.COMPLETED


async def test_stop_iteration_in_a_thread_is_an_ordinary_failure(bench: Bench) -> None:
    await bench.serve(task("stop")(lambda job: next(iter(()))))
    (id,) = await bench.push("stop")
    assert "StopIteration" in str((await bench.end(id)).history.error)


async def test_outcomes_are_taken_whether_returned_or_raised(bench: Bench) -> None:
    @task("returns")
    def returns(job: RunningJob) -> Any:
        return Retry(0.01, "not yet") if job.attempts_made == 0 else "second"

    @task("raises")
    async def raises(job: RunningJob) -> Any:
        raise Retry(0.01, "not yet") if job.attempts_made == 0 else Release(600)

    await bench.serve(returns, raises)
    one, other = await bench.push("returns", "raises", max_attempts=3)
    job = await bench.end(one)
    assert (job.attempts, job.result) == (1, b"\xa6second")

    async def released() -> bool:
        job = await bench.hub.get(other)
        return job.state is State.DELAYED and job.attempts == 1

    await until(released)


async def test_a_job_without_a_task_fails_with_the_reason(bench: Bench) -> None:
    await bench.serve(task("known")(lambda job: None))
    (id,) = await bench.push("unknown")
    assert (await bench.end(id)).history.error == "no handler for jobs named 'unknown' in queue 'default'"


async def test_a_job_without_a_task_waits_while_a_file_is_broken(bench: Bench) -> None:
    await bench.serve(task("known")(lambda job: None), incomplete=True)
    (id,) = await bench.push("unknown")

    async def put_back() -> bool:
        job = await bench.hub.get(id)
        return job.state is State.DELAYED and job.attempts == 0

    await until(put_back)


async def test_a_suspect_runs_alone(bench: Bench) -> None:
    beside: list[int] = []
    ids = await bench.push(*["job"] * 20)

    @task("job", concurrency=5)
    async def job(job: RunningJob) -> None:
        await asyncio.sleep(0.01)
        if job.id in (ids[3], ids[4]):
            beside.append(bench.execution.running)

    await bench.serve(job, suspects={ids[3], ids[4]})
    for id in ids:
        assert (await bench.end(id)).state is State.COMPLETED
    assert beside == [1, 1]


async def test_a_plain_handler_may_tell_its_progress_and_log(bench: Bench) -> None:
    @task("talks")
    def talks(job: RunningJob) -> None:
        job.progress(40, "almost half")
        job.log("hello")

    await bench.serve(talks)
    (id,) = await bench.push("talks")
    job = await bench.end(id)
    assert job.history.progress_message == "almost half"
    assert [line.message for line in await bench.hub.run(lambda tx: read_logs(tx, id))] == ["hello"]
