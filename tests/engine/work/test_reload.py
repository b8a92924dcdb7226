"""Reloading: what a change of the handlers' folder does, end to end with the real process."""

from __future__ import annotations

from pathlib import Path

import psutil

from support.handlers import stand
from support.waiting import until

WORKING = """
    @task("version")
    def version(job):
        return 1
"""


async def test_a_change_is_picked_up_without_losing_a_running_job(tmp_path: Path) -> None:
    old = """
        @task("version")
        def version(job):
            return 1

        @task("long")
        async def long(job):
            say("started")
            await flag("finish")
            return "old code"
    """
    async with stand(tmp_path, old) as it:
        assert await it.result(await it.push("version")) == 1
        running = await it.push("long", max_attempts=1)
        await it.raised("started")
        pid = it.pid
        it.write(old.replace("return 1", "return 2").replace("old code", "new code"))
        waiting = await it.push("version")
        await until(lambda: it.parent.status.pid is None)  # the old one is told to end, the new one stands by
        assert psutil.pid_exists(pid), "it still runs a job"
        it.raise_flag("finish")
        job = await it.end(running)
        assert await it.result(running) == "old code"
        assert (job.attempts, job.lost_count) == (0, 0)
        assert await it.result(await it.push("version")) == 2
        assert await it.result(waiting) in (1, 2)


async def test_what_does_not_end_within_the_grace_is_given_back_and_run_by_the_new_code(tmp_path: Path) -> None:
    old = """
        @task("long")
        async def long(job):
            say("started")
            await asyncio.sleep(600)
    """
    async with stand(tmp_path, old, grace_s=0.2) as it:
        running = await it.push("long", max_attempts=1)
        await it.raised("started")
        it.write(old.replace("await asyncio.sleep(600)", "return job.attempts_made"))
        assert await it.result(running) == 0


async def test_a_change_that_breaks_a_file_is_refused_until_it_is_mended(tmp_path: Path) -> None:
    async with stand(tmp_path, WORKING) as it:
        pid = it.pid
        it.write("def broken(:")
        it.write(WORKING.replace('"version"', '"other"'), "other.py")
        await until(lambda: bool(it.parent.status.problems))
        assert [problem.file for problem in it.parent.status.problems] == ["tasks.py"]
        assert await it.result(await it.push("version")) == 1
        assert it.pid == pid
        it.write(WORKING.replace("return 1", "return 2"))
        await it.served(lambda names: names == {"version", "other"})
        assert it.parent.status.problems == []
        assert await it.result(await it.push("version")) == 2


async def test_at_the_start_a_broken_file_does_not_keep_the_others(tmp_path: Path) -> None:
    async with stand(tmp_path) as it:
        it.write("def broken(:", "broken.py")
        it.write(WORKING)
        await it.served()
        assert await it.result(await it.push("version")) == 1
        assert [problem.line for problem in it.parent.status.problems] == [10]


async def test_a_file_that_kills_its_process_is_left_out_until_it_is_mended(tmp_path: Path) -> None:
    async with stand(tmp_path) as it:
        it.write("os.abort()", "deadly.py")
        it.write(WORKING)
        await it.served()
        assert await it.result(await it.push("version")) == 1
        assert [problem.file for problem in it.parent.status.problems] == ["deadly.py"]
        it.write(WORKING.replace('"version"', '"alive"'), "deadly.py")
        await it.served(lambda names: names == {"version", "alive"})


async def test_no_process_is_kept_for_nothing(tmp_path: Path) -> None:
    async with stand(tmp_path, WORKING) as it:
        (it.folder / "tasks.py").unlink()
        await it.served(lambda names: not names)
        await until(lambda: it.parent.status.pid is None)
        it.write(WORKING)
        await it.served()
        assert await it.result(await it.push("version")) == 1
