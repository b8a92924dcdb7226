"""Handlers end to end: a real hub, its TCP door, the handler process and what is done to it."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import psutil
import pytest
import uvloop

from hubqueue.hub.verbs.leased import read_logs
from hubqueue.model.job import Job
from hubqueue.model.state import State
from support.handlers import stand
from support.waiting import until

WORKING = """
    @task("version")
    def version(job):
        return 1
"""


async def test_tasks_run_and_their_results_are_stored(tmp_path: Path) -> None:
    tasks = """
        @task("add")
        async def add(job):
            await job.progress(50, "half")
            await job.log("adding")
            return sum(job.data)

        @task("where")
        def where(job):
            job.log("plain functions log too")
            print("printed")
            return [os.getpid(), job.id, job.queue]
    """
    async with stand(tmp_path, tasks) as it:
        added, found = await it.push("add", [1, 2, 3]), await it.push("where")
        assert await it.result(added) == 6
        assert await it.result(found) == [it.pid, found, "default"]
        assert [line.message for line in await it.hub.run(lambda tx: read_logs(tx, added))] == ["adding"]
        assert [line.message for line in await it.hub.run(lambda tx: read_logs(tx, found))] == [
            "plain functions log too"
        ]
        assert psutil.Process(it.pid).ppid() == os.getpid()
        pid = it.pid
    assert not psutil.pid_exists(pid)


async def test_retry_reject_and_release_by_return_and_by_raise(tmp_path: Path) -> None:
    tasks = """
        @task("retry")
        def retry(job):
            if job.attempts_made == 0:
                raise Retry(0.05, "sensor asleep")
            return job.attempts_made

        @task("reject")
        async def reject(job):
            return Reject("no such light")

        released = []

        @task("release")
        async def release(job):
            released.append(job.id)
            if len(released) == 1:
                raise Release()
            return job.attempts_made

        @task("error")
        def error(job):
            return {}["missing"]
    """
    async with stand(tmp_path, tasks) as it:
        retry, reject, release, error = [
            await it.push(name, max_attempts=2 if name == "retry" else 1)
            for name in ("retry", "reject", "release", "error")
        ]
        assert await it.end(retry)
        job = await it.end(retry)
        assert (job.state, job.attempts, job.history.attempts[0].error) == (State.COMPLETED, 1, "sensor asleep")
        job = await it.end(reject)
        assert (job.state, job.history.reason, job.history.error) == (State.FAILED, "rejected", "no such light")
        assert await it.result(release) == 0, "a release counts nothing"
        job = await it.end(error)
        assert job.history.error == "KeyError: 'missing'"
        assert any("tasks.py" in line for line in job.history.stack)


async def test_a_task_over_its_time_fails_with_the_reason(tmp_path: Path) -> None:
    tasks = """
        @task("slow", timeout_s=0.1)
        async def slow(job):
            await asyncio.sleep(600)
    """
    async with stand(tmp_path, tasks) as it:
        pid = it.pid
        job = await it.end(await it.push("slow", max_attempts=1))
        assert (job.state, job.history.reason) == (State.FAILED, "timeout")
        assert it.pid == pid, "an async handler is cancelled, its process stays"


async def test_a_handler_that_aborts_ends_in_the_dlq_after_its_bound_and_one_beside_it_completes(
    tmp_path: Path,
) -> None:
    tasks = """
        @task("abort")
        def abort(job):
            say("aborting")
            wait("beside")
            os.abort()

        @task("beside")
        async def beside(job):
            say("beside")
            await flag("aborting")
            await asyncio.sleep(0.5 if job.data == "again" else 0.2)
            return job.attempts_made

        @task("quick")
        def quick(job):
            return "quick"
    """
    async with stand(tmp_path, tasks) as it:
        guilty = await it.push("abort", max_attempts=3, options=fixed_backoff(50))
        innocent = await it.push("beside", max_attempts=1)
        job = await it.end(guilty)
        assert (job.state, job.attempts) == (State.FAILED, 3)
        assert job.history.reason == "worker_lost"
        assert [attempt.reason for attempt in job.history.attempts] == ["worker_lost"] * 3
        assert job.history.error == "handler process died by signal SIGABRT"
        assert await it.result(innocent) == 0, "no attempt was counted for the one beside it"
        assert await it.result(await it.push("quick")) == "quick"


def fixed_backoff(ms: int) -> object:
    from hubqueue.model.job import Options
    from hubqueue.model.retry import Backoff

    return Options(backoff=Backoff("fixed", ms))


async def test_an_endless_loop_leaves_the_hub_and_the_other_handlers_alone(tmp_path: Path) -> None:
    tasks = """
        @task("endless", timeout_s=1.0)
        def endless(job):
            say("looping")
            while True:
                pass

        @task("other")
        async def other(job):
            return os.getpid()

        @task("plain")
        def plain(job):
            return sum(range(1000))
    """
    async with stand(tmp_path, tasks, stop_s=0.2) as it:
        pid = it.pid
        endless = await it.push("endless", max_attempts=1)
        await it.raised("looping")
        for _ in range(5):
            assert await it.result(await it.push("other")) == pid
            assert await it.result(await it.push("plain")) == 499500
        job = await it.end(endless)
        assert (job.state, job.history.reason) == (State.FAILED, "timeout")
        await until(lambda: it.parent.status.pid not in (pid, None))
        assert not psutil.pid_exists(pid), "only the end of its process ends a plain function"
        assert await it.result(await it.push("other")) == it.pid


async def test_a_blocked_event_loop_is_ended_and_its_job_fails(tmp_path: Path) -> None:
    tasks = """
        @task("block")
        async def block(job):
            while True:
                pass

        @task("fine")
        async def fine(job):
            return "fine"
    """
    async with stand(tmp_path, tasks, silent_s=3.0) as it:
        job = await it.end(await it.push("block", max_attempts=1))
        assert (job.state, job.history.reason) == (State.FAILED, "worker_lost")
        assert job.history.error == "handler process did not answer for 3 s and was killed"
        assert await it.result(await it.push("fine")) == "fine"


async def test_a_process_that_is_killed_while_idle_is_started_again(tmp_path: Path) -> None:
    async with stand(tmp_path, WORKING) as it:
        for _ in range(3):
            pid = it.pid
            os.kill(pid, signal.SIGKILL)
            await until(lambda pid=pid: it.parent.status.pid not in (pid, None))  # type: ignore[misc]
            assert await it.result(await it.push("version")) == 1
        assert it.parent.status.restarts == 3


async def test_closing_gives_back_what_runs_and_counts_nothing(tmp_path: Path) -> None:
    tasks = """
        @task("async")
        async def in_loop(job):
            say("async")
            await asyncio.sleep(600)

        @task("plain")
        def in_thread(job):
            say("plain")
            time.sleep(600)
    """
    async with stand(tmp_path, tasks, grace_s=0.2) as it:
        ids = [await it.push(name, max_attempts=1) for name in ("async", "plain")]
        await it.raised("async")
        await it.raised("plain")
        pid = it.pid
        await it.parent.close()
        assert not psutil.pid_exists(pid)
        jobs: list[Job] = [await it.hub.get(id) for id in ids]
        assert [(job.state, job.attempts, job.lost_count) for job in jobs] == [(State.WAITING, 0, 0)] * 2


async def test_many_jobs_run_exactly_once_each(tmp_path: Path) -> None:
    tasks = """
        @task("count", concurrency=20)
        async def count(job):
            with open(_flags / "ran", "a") as file:
                file.write(f"{job.data}\\n")
    """
    async with stand(tmp_path, tasks) as it:
        ids = [await it.push("count", n) for n in range(300)]
        await asyncio.gather(*(it.end(id) for id in ids))
        ran = (tmp_path / "flags" / "ran").read_text().split()
        assert sorted(map(int, ran)) == list(range(300))


async def test_of_several_suspects_only_the_guilty_one_fails(tmp_path: Path) -> None:
    """All run in one process when it dies; each is then tried alone."""
    tasks = """
        @task("some", concurrency=10)
        async def some(job):
            say(f"some-{job.data}")
            if job.data == 1:
                await asyncio.gather(*(flag(f"some-{n}") for n in range(3)))
                os.kill(os.getpid(), 9)
            await asyncio.sleep(0.3)
            return job.attempts_made
    """
    async with stand(tmp_path, tasks) as it:
        ids = [await it.push("some", n, max_attempts=1) for n in range(3)]
        jobs = [await it.end(id) for id in ids]
        assert [job.state for job in jobs] == [State.COMPLETED, State.FAILED, State.COMPLETED]
        assert [job.attempts for job in jobs] == [0, 1, 0]
        assert jobs[1].history.reason == "worker_lost"
        assert it.parent.status.restarts == 2


async def test_among_many_jobs_exactly_those_that_kill_their_process_are_dead(tmp_path: Path) -> None:
    tasks = """
        @task("some", concurrency=5)
        async def some(job):
            await asyncio.sleep(0.02)
            if job.data % 10 == 3:
                os.abort()
            return job.data

        @task("plain", concurrency=5)
        def plain(job):
            time.sleep(0.02)
            if job.data % 10 == 3:
                os._exit(0)
            return job.data
    """
    async with stand(tmp_path, tasks) as it:
        ids = [await it.push(("some", "plain")[n // 20], n, max_attempts=1) for n in range(40)]
        jobs = await asyncio.gather(*(it.end(id) for id in ids))
        dead = [n for n, job in enumerate(jobs) if job.state is State.FAILED]
        assert dead == [3, 13, 23, 33]
        assert {jobs[n].history.reason for n in dead} == {"worker_lost"}
        assert {job.lost_count for job in jobs} == {0}
        assert all(job.attempts == 0 for n, job in enumerate(jobs) if n not in dead)


def test_it_works_on_the_loop_of_the_server(tmp_path: Path) -> None:
    tasks = """
        @task("abort")
        def abort(job):
            os.abort()

        @task("fine")
        def fine(job):
            print("fine")
            return "fine"
    """

    async def scenario() -> None:
        async with stand(tmp_path, tasks) as it:
            job = await it.end(await it.push("abort", max_attempts=1))
            assert job.history.reason == "worker_lost"
            assert await it.result(await it.push("fine")) == "fine"
            pid = it.pid
            it.write(tasks.replace('return "fine"', 'return "changed"'))
            await until(lambda: it.parent.status.pid not in (None, pid))
            assert await it.result(await it.push("fine")) == "changed"

    uvloop.run(scenario())


async def test_a_folder_named_from_where_the_hub_was_started_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with stand(Path(), WORKING) as it:
        assert await it.result(await it.push("version")) == 1


async def test_a_hub_that_refuses_the_process_is_told_in_the_log_and_asked_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with stand(tmp_path, WORKING, token="wrong") as it:
        await until(lambda: it.parent.status.restarts > 1)
        said = [record.getMessage() for record in caplog.records]
        assert any("handlers cannot work" in text and "Invalid token" in text for text in said), said
        assert any("handler process ended by itself with code 1" in text for text in said)
