"""Real handler processes, without a hub: loading, standing by, ending in every way a process can end."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from textwrap import dedent

import psutil
import pytest

from hubqueue.config.inherited import for_handlers
from hubqueue.work.messages import Setup
from hubqueue.work.process import HandlerProcess
from support.waiting import in_time, soon, until

NOBODY = "tcp://127.0.0.1:1"  # no hub is needed for a process that stands by


@asynccontextmanager
async def child(folder: Path, **options: object) -> AsyncIterator[HandlerProcess]:
    setup = Setup(url=NOBODY, owner="test", folder=str(folder), **options)  # type: ignore[arg-type]
    process = await HandlerProcess.start(setup, for_handlers(os.environ, ()), lambda id: None)
    try:
        yield process
    finally:
        await process.kill("is not needed")
        await soon(process.closed.wait())


def write(folder: Path, text: str, name: str = "tasks.py") -> None:
    (folder / name).write_text(dedent(text))


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def ended(process: HandlerProcess) -> str:
    async with in_time():
        await asyncio.wait({process.ended})
    return process.cause


async def test_it_loads_the_folder_and_stands_by(tmp_path: Path) -> None:
    write(tmp_path, "from hubqueue.work.registry import task\n@task('a', queue='q')\ndef a(job): ...\n")
    write(tmp_path, "1/0", "broken.py")
    async with child(tmp_path) as process:
        ready = await soon(process.ready)
        assert [(task.name, task.queue, task.file, task.line) for task in ready.tasks] == [("a", "q", "tasks.py", 2)]
        assert [str(problem) for problem in ready.problems] == ["broken.py:1: ZeroDivisionError: division by zero"]
        assert not process.ended.done()
    assert listing(tmp_path) == ["broken.py", "tasks.py"], "no caches left behind"


async def test_a_drained_process_that_never_went_ends_by_itself(tmp_path: Path) -> None:
    async with child(tmp_path) as process:
        await soon(process.ready)
        await soon(process.drain(1.0))
        assert process.ended.result() == 0


async def test_a_working_process_without_a_hub_drains_too(tmp_path: Path) -> None:
    write(tmp_path, "from hubqueue.work.registry import task\n@task('a')\ndef a(job): ...\n")
    async with child(tmp_path) as process:
        await soon(process.ready)
        process.go(())
        await soon(process.drain(1.0))
        assert process.ended.result() == 0


async def test_a_file_that_kills_the_process_is_named(tmp_path: Path) -> None:
    write(tmp_path, "import os\nos.abort()", "deadly.py")
    async with child(tmp_path) as process:
        assert await ended(process) == "handler process died by signal SIGABRT"
        assert process.loading == "deadly.py"
        assert not process.ready.done()
    async with child(tmp_path, skip=("deadly.py",)) as process:
        ready = await soon(process.ready)
        assert ready.problems[0].file == "deadly.py"


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        ("import os; os._exit(7)", "handler process ended by itself with code 7"),
        ("import os; os._exit(0)", "handler process ended by itself with code 0"),
        ("import os; os.kill(os.getpid(), 9)", "handler process died by signal SIGKILL"),
    ],
)
async def test_its_end_is_told_in_words(tmp_path: Path, code: str, cause: str) -> None:
    write(tmp_path, code)
    async with child(tmp_path) as process:
        assert await ended(process) == cause


async def test_everything_it_started_ends_with_it(tmp_path: Path) -> None:
    write(
        tmp_path,
        """
        import pathlib, subprocess
        pathlib.Path("pid").write_text(str(subprocess.Popen(["sleep", "600"]).pid))
        import os
        os.kill(os.getpid(), 9)
        """,
    )
    async with child(tmp_path) as process:
        await ended(process)
        pid = int((tmp_path / "pid").read_text())
        await until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)


async def test_a_busy_process_ends_when_its_parent_is_killed(tmp_path: Path) -> None:
    """Even one whose event loop never turns again."""
    folder = tmp_path / "handlers"
    folder.mkdir()
    write(
        folder,
        """
        import os, pathlib
        pathlib.Path("../pid").write_text(str(os.getpid()))
        while True: pass
        """,
    )
    write(
        tmp_path,
        f"""
        import asyncio, os
        from hubqueue.work.messages import Setup
        from hubqueue.work.process import HandlerProcess

        async def main():
            setup = Setup(url={NOBODY!r}, owner='test', folder={str(folder)!r})
            process = await HandlerProcess.start(setup, os.environ, print)
            await asyncio.wait({{process.ended}})

        asyncio.run(main())
        """,
        "parent.py",
    )
    parent = await asyncio.create_subprocess_exec(sys.executable, str(tmp_path / "parent.py"))
    try:
        pid_file = tmp_path / "pid"
        await until(lambda: pid_file.exists() and pid_file.read_text() != "")
        pid = int(pid_file.read_text())
        assert psutil.pid_exists(pid)
    finally:
        parent.send_signal(signal.SIGKILL)
        await parent.wait()
    await until(lambda: not psutil.pid_exists(pid))


async def test_its_output_reaches_the_log_with_levels(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    write(
        tmp_path,
        """
        import logging, sys
        print("printed")
        print("complained", file=sys.stderr)
        logging.getLogger("mine").error("two\\nlines")
        logging.getLogger("mine").info("said")
        """,
    )
    async with child(tmp_path) as process:
        await soon(process.ready)
        said = [(logging.INFO, "printed"), (logging.WARNING, "complained")]
        said += [(logging.ERROR, "mine: two"), (logging.ERROR, "lines"), (logging.INFO, "mine: said")]
        wanted = {(level, f"{text} pid={process.pid}") for level, text in said}
        await until(lambda: wanted <= {(record.levelno, record.getMessage()) for record in caplog.records})


async def test_it_gets_neither_the_hubs_secrets_nor_a_token_on_its_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = ("HUBQUEUE_AUTH_TOKENS", "SUPERVISOR_TOKEN", "HASSIO_TOKEN")
    for name in secrets:
        monkeypatch.setenv(name, "secret")
    monkeypatch.setenv("MY_API_KEY", "mine")
    write(tmp_path, "import os, pathlib, json\npathlib.Path('env').write_text(json.dumps(dict(os.environ)))")
    async with child(tmp_path, token="very-secret") as process:
        await soon(process.ready)
        environment = (tmp_path / "env").read_text()
        assert not any(name in environment for name in secrets)
        assert "MY_API_KEY" in environment
        running = psutil.Process(process.pid)
        assert "very-secret" not in " ".join(running.cmdline())
        assert "very-secret" not in str(running.environ())


async def test_its_memory_and_its_niceness_are_limited(tmp_path: Path) -> None:
    write(tmp_path, "x = bytearray(2_000_000_000)")
    write(tmp_path, "import os, pathlib\npathlib.Path('nice').write_text(str(os.nice(0)))", "z.py")
    async with child(tmp_path, max_memory_bytes=1_000_000_000, nice=3) as process:
        ready = await soon(process.ready)
        assert [(one.file, one.text) for one in ready.problems] == [("tasks.py", "MemoryError")]
        assert int((tmp_path / "nice").read_text()) == os.nice(0) + 3


async def test_noise_on_the_message_pipe_is_survived(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path, "import os, sys\nos.write(int(sys.argv[1]), b'noise\\n{\"type\":\"Go\"}\\n' + b'x' * 100)")
    write(tmp_path, "import os, sys\nos.write(int(sys.argv[1]), b'\\n')", "z.py")
    async with child(tmp_path) as process:
        ready = await soon(process.ready)
        assert ready.problems == []
        assert sum("not understood" in record.getMessage() for record in caplog.records) == 1, "said once"
