"""`add --from-file`: whatever ends it, the numbers are exact, and who goes on where it says has every line once."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hubqueue.cli.add_lines import Adding
from hubqueue.cli.connect import Hub
from hubqueue.errors import LinkDown
from hubqueue.model import payload
from hubqueue.model.job import NewJob
from support.hub_process import HubProcess
from support.shell import Shell
from support.waiting import until


def _write(shell: Shell, lines: list[bytes], name: str = "readings.jsonl") -> Path:
    path = shell.folder / name
    path.write_bytes(b"\n".join(lines) + b"\n")
    return path


def _good(count: int, first: int = 1) -> list[bytes]:
    return [b'{"n": %d}' % n for n in range(first, first + count)]


def _there(shell: Shell, queue: str = "bulk") -> list[Any]:
    listed = shell.json("queues")
    waiting = {each["name"]: each["waiting"] for each in listed}.get(queue, 0)
    if not waiting:
        return []
    found = [job["data"] for job in shell.json("jobs", queue, "--oldest", "--limit", str(waiting))]
    assert len(found) == waiting
    return found


def _piped(shell: Shell, lines: bytes, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "hubqueue", "add", "bulk", "--from-file", "-", *arguments]
    done = subprocess.run(command, cwd=shell.folder, env=shell.environ, input=lines, capture_output=True, timeout=60)
    assert done.returncode == code, done.stderr.decode()
    return done


def test_no_option_is_recommended_that_a_file_has_not(shell: Shell) -> None:
    for line, words in ((b'{"t": nan}', "nan at byte 6"), (b'"\xff"', "not valid UTF-8 at byte")):
        path = _write(shell, [line])
        told = shell("add", "bulk", "--from-file", path.name, code=1).stderr
        assert f"line 1: {'not JSON: ' if b'nan' in line else ''}{words}" in told
        assert "nan: null" not in told
        assert "encoding says" not in told


def test_a_file_with_a_wrong_line_adds_nothing_and_names_it(shell: Shell) -> None:
    path = _write(shell, [*_good(1700), b'{"n":'])
    told = shell("add", "bulk", "--from-file", path.name, code=1).stderr
    assert "line 1701: not JSON" in told
    assert "nothing was added" in told
    assert _there(shell) == []
    _write(shell, [*_good(1700), b'{"n": 1701}'])
    assert shell("add", "bulk", "--from-file", path.name).stdout == "Added 1,701 jobs to bulk.\n"
    assert len(_there(shell)) == 1701


def test_of_a_pipe_all_before_the_wrong_line_is_added_and_it_goes_on_exactly_there(shell: Shell) -> None:
    broken = b"\n".join([*_good(701), b'{"n":', *_good(300, 703)])
    done = _piped(shell, broken, "--json", code=1)
    told = done.stderr.decode()
    assert "701 jobs added; line 702: not JSON" in told
    assert "--from-line 702" in told
    assert json.loads(done.stdout) == {"added": 701}
    mended = broken.replace(b'{"n":\n', b'{"n": 702}\n')
    assert _piped(shell, mended, "--from-line", "702").stdout == b"Added 301 jobs to bulk.\n"
    assert [each["n"] for each in _there(shell)] == list(range(1, 1003))


WRONG = (
    (b"\xff\xfe", "not valid UTF-8"),
    (b'{"t": NaN}', "not JSON"),
    (b"{", "not JSON"),
    (b"plain words", "not JSON"),
    (b'"' + b"x" * 10_600_000 + b'"', "10"),
    (b'"' + b"x" * 17_000_000 + b'"', "is too long"),
)


def test_each_kind_of_wrong_line_is_named_in_plain_words(shell: Shell) -> None:
    for number, (wrong, why) in enumerate(WRONG, 1):
        path = _write(shell, [b"1", b"", wrong, b"4"])
        told = shell("add", "bulk", "--from-file", path.name, code=1).stderr
        assert "line 3: " in told
        assert told.count("line 3") == 1
        assert why in told
        done = _piped(shell, path.read_bytes(), code=1)
        assert "1 job added; line 3: " in done.stderr.decode()
        assert _there(shell) == [1] * number


def test_marks_ends_of_lines_and_blank_lines_are_no_matter(shell: Shell) -> None:
    path = shell.folder / "dos.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"n": 1}\r\n\r\n  \n"two"\r\n[3]')
    assert shell("add", "bulk", "--from-file", path.name).stdout == "Added 3 jobs to bulk.\n"
    assert _there(shell) == [{"n": 1}, "two", [3]]
    (shell.folder / "empty.jsonl").write_bytes(b"")
    assert shell("add", "bulk", "--from-file", "empty.jsonl").stdout == "Added 0 jobs to bulk.\n"
    assert shell("add", "one", "--from-file", "-", stdin="1\n").stdout == "Added 1 job to one.\n"


def test_heavy_lines_are_sent_in_batches_that_a_hub_takes(shell: Shell) -> None:
    path = _write(shell, [json.dumps("x" * 200_000).encode()] * 120)  # 24 MB: more than one frame may hold
    assert shell.json("add", "bulk", "--from-file", path.name) == {"added": 120}


def test_a_queue_that_is_full_says_how_far_it_came(tmp_path: Path) -> None:
    (tmp_path / "hubqueue.yaml").write_text("queues: {bulk: {max_jobs: 1200}}")
    with HubProcess(tmp_path) as hub:
        shell = Shell(tmp_path, hub.url)
        path = _write(shell, _good(1700))
        told = shell("add", "bulk", "--from-file", path.name, code=1).stderr
        assert "1,000 jobs added, nothing from line 1001 on: Queue bulk holds 1000 of at most 1200 jobs" in told
        go_on = told.partition("--from-line 1001 --run ")[2].split()[0]
        assert [each["n"] for each in _there(shell)] == list(range(1, 1001))
        told = shell("add", "bulk", "--from-file", path.name, "--run", go_on, code=1).stderr  # from the first line
        assert len(_there(shell)) == 1000  # which are known


class Hasty(Hub):
    """Waits for no hub that is away."""

    def ask(self, action: Any, *, patience_s: float = 0.5) -> Any:
        return super().ask(action, patience_s=patience_s)


def _adding(file: Any, first: int = 1, run: str = "") -> Adding:
    def job(value: object, id: str) -> NewJob:
        return NewJob(data=payload.encode(value), custom_id=id)

    return Adding("bulk", file, job, durable=False, first=first, run=run)


async def test_a_hub_that_dies_in_the_middle_and_a_run_that_goes_on_has_every_line_once(tmp_path: Path) -> None:
    count = 2200
    with HubProcess(tmp_path) as hub:
        shell = Shell(tmp_path, hub.url)
        path = _write(shell, _good(count))
        lines = path.read_bytes().splitlines(keepends=True)
        reading, writing = os.pipe()
        with os.fdopen(reading, "rb") as pipe, os.fdopen(writing, "wb", buffering=0) as feed:
            adding = _adding(pipe)
            running = asyncio.create_task(asyncio.to_thread(adding.add_to, Hasty(hub.url, None, None)))
            feed.write(b"".join(lines[:1000]))
            await until(lambda: adding.count == 1000)
            hub.kill()
            feed.write(b"".join(lines[1000:1600]))
            with pytest.raises(LinkDown) as refused:
                await running
        assert "1,000 jobs added; whether lines 1001 to 1500 came in is not known" in refused.value.message
        assert f"go on with --from-line 1001 --run {adding.run}, which adds no line twice" in refused.value.hint
        hub.start()
        shell.environ["HUBQUEUE_URL"] = hub.url
        for _ in range(2):  # and once more: nothing is doubled
            shell("add", "bulk", "--from-file", path.name, "--from-line", "1001", "--run", adding.run)
        assert sorted(each["n"] for each in _there(shell)) == list(range(1, count + 1))


def test_ctrl_c_says_how_far_it_came(shell: Shell) -> None:
    command = [sys.executable, "-m", "hubqueue", "add", "bulk", "--from-file", "-"]
    with subprocess.Popen(
        command, cwd=shell.folder, env=shell.environ, stdin=subprocess.PIPE, stderr=subprocess.PIPE
    ) as adding:
        assert adding.stdin is not None
        assert adding.stderr is not None
        adding.stdin.write(b"\n".join(_good(520)) + b"\n")
        adding.stdin.flush()  # and no end: it waits for more
        while not shell.json("queues"):
            assert adding.poll() is None
        adding.send_signal(signal.SIGINT)
        told = adding.stderr.read().decode()
        adding.stdin.close()
    assert adding.returncode == 4
    assert "500 jobs added, nothing from line 501 on: it was ended from the keyboard" in told
    assert "go on with --from-line 501 --run " in told
    assert len(_there(shell)) == 500


def test_options_of_a_run_go_with_a_file_only(lonely: Shell) -> None:
    for wrong in (("--run", "x"), ("--from-line", "2")):
        assert "go with --from-file only" in lonely("add", "q", "1", *wrong, code=1).stderr
    path = lonely.folder / "a.jsonl"
    path.write_text("1\n")
    assert "running there" in lonely("add", "q", "--from-file", path.name, code=4).stderr
