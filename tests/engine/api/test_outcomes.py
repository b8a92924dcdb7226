"""What a handler returns or raises, and what becomes of its job, near and far alike."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest

import hubqueue
from hubqueue import Fail, Reject, Release, Retry, RunningJob
from hubqueue.api.access import Access
from hubqueue.api.jobs import JobView
from hubqueue.errors import JobFailed
from hubqueue.work.events import Ended
from support.waiting import PATIENCE_S, in_time


async def run_one(hub: Access, handler: Any, **options: Any) -> JobView:
    """Add one job, run it once, stop, and say what became of it."""
    job = await hub.queue("work").add("do", {"n": 1}, **options)
    ended = asyncio.Event()
    worker = hub.worker("work", handler)
    worker.listen(lambda event: ended.set() if isinstance(event, Ended) else None)
    async with worker, in_time():
        await ended.wait()
    return await job.get()


async def test_what_an_async_handler_returns_is_the_result(hub: Access) -> None:
    async def handler(job: RunningJob) -> dict[str, Any]:
        return {"seen": job.data, "name": job.name, "queue": job.queue, "attempts": job.attempts_made}

    seen = await run_one(hub, handler)
    assert seen.result == {"seen": {"n": 1}, "name": "do", "queue": "work", "attempts": 0}
    assert seen.attempts_made == 0


async def test_a_plain_handler_runs_in_a_thread_of_its_own(hub: Access) -> None:
    def handler(job: RunningJob) -> str:
        return threading.current_thread().name

    assert str((await run_one(hub, handler)).result).startswith("hubqueue-work")


async def test_a_handler_that_returns_nothing_completes_without_a_result(hub: Access) -> None:
    seen = await run_one(hub, lambda job: None)
    assert (seen.state, seen.job.result) == ("completed", None)


@pytest.mark.parametrize("raised", [True, False])
@pytest.mark.parametrize(
    ("outcome", "state", "attempts", "error"),
    [
        (Retry(60, "later"), "delayed", 1, "later"),
        (Reject("never"), "failed", 1, "never"),
        (Release(), "waiting", 0, None),
        (Release(60), "delayed", 0, None),
        (Fail("broken"), "delayed", 1, "broken"),
        (hubqueue.Complete(b"\x07"), "completed", 0, None),
    ],
)
async def test_an_outcome_raised_or_returned_is_what_is_stored(
    hub: Access, outcome: Exception, state: str, attempts: int, error: str | None, raised: bool
) -> None:
    ran = 0

    async def handler(job: RunningJob) -> Exception:
        nonlocal ran
        ran += 1
        if ran > 1:  # a job that was released comes right back
            await asyncio.Event().wait()
        if raised:
            raise outcome
        return outcome

    queue = hub.queue("work")
    job = await queue.add("do")
    ended = asyncio.Event()
    worker = hub.worker("work", handler, grace=0)
    worker.listen(lambda event: ended.set() if isinstance(event, Ended) else None)
    async with worker, in_time():
        await ended.wait()
    seen = await job.get()
    assert (seen.state, seen.attempts_made, seen.error) == (state, attempts, error)


async def test_any_other_exception_fails_the_run_and_keeps_its_traceback(hub: Access) -> None:
    async def handler(job: RunningJob) -> None:
        raise ValueError("boom")

    seen = await run_one(hub, handler)
    assert (seen.state, seen.attempts_made, seen.error) == ("delayed", 1, "ValueError: boom")
    assert any("raise ValueError" in line for line in seen.job.history.stack)


async def test_a_job_that_fails_every_time_is_dead_after_its_attempts(hub: Access) -> None:
    async def handler(job: RunningJob) -> None:
        raise OSError("broken")

    job = await hub.queue("work").add("do", attempts=3, backoff=0.01)
    async with hub.worker("work", handler):
        with pytest.raises(JobFailed, match="broken"):
            await job.result(timeout=PATIENCE_S)
    seen = await job.get()
    assert (seen.attempts_made, seen.reason) == (3, "max_attempts_exceeded")
    assert [run.attempt for run in seen.errors] == [1, 2, 3]


async def test_a_result_that_cannot_be_stored_rejects_the_job(hub: Access) -> None:
    seen = await run_one(hub, lambda job: object())
    assert (seen.state, seen.reason) == ("failed", "rejected")
    assert "cannot carry" in str(seen.error)


async def test_a_handler_that_cancels_itself_has_failed(hub: Access) -> None:
    async def handler(job: RunningJob) -> None:
        raise asyncio.CancelledError

    seen = await run_one(hub, handler)
    assert (seen.attempts_made, seen.error) == (1, "the handler was cancelled")


async def test_progress_and_extension_are_awaited_in_async_handlers(hub: Access) -> None:
    async def handler(job: RunningJob) -> None:
        await job.progress(50, "half")
        await job.log("so far so good")
        await job.extend(60_000)
        raise Retry(60)

    seen = await run_one(hub, handler)
    assert (seen.progress, seen.job.history.progress_message) == (50, "half")


async def test_progress_and_extension_are_called_in_plain_handlers(hub: Access) -> None:
    def handler(job: RunningJob) -> None:
        job.progress(50, "half")
        job.log("so far so good")
        job.extend(60_000)
        raise Retry(60)

    seen = await run_one(hub, handler)
    assert (seen.progress, seen.job.history.progress_message) == (50, "half")
