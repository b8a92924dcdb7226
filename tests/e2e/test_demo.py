"""`hubqueue demo` as a newcomer runs it: it plays, shows the uplink cut and back, and leaves nothing behind."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import urllib.request
import uuid
from pathlib import Path

import pytest

from support.hub_process import clean_environment
from support.mosquitto import Mosquitto

MARK = "HUBQUEUE_DEMO_TEST"  # in the environment of the demo and of every process it starts


def demo(mark: str, folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "hubqueue", "demo", "--plain", "--data-path", str(folder), *arguments],
        env=clean_environment({MARK: mark, "PYTHONUNBUFFERED": "1"}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def left_over(mark: str) -> list[str]:
    """Command lines of processes that still carry the mark."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={mark}".encode() in (process / "environ").read_bytes().split(b"\0"):
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue  # it has just ended, or is not ours
    return found


def number(pattern: str, text: str) -> int:
    match = re.search(pattern, text)
    assert match is not None, text
    return int(match.group(1))


@pytest.fixture
def mark() -> str:
    return uuid.uuid4().hex


def test_the_demo_plays_and_leaves_nothing_behind(tmp_path: Path, mark: str) -> None:
    with demo(mark, tmp_path, "--duration", "20") as process:
        out, err = process.communicate(timeout=90)
    assert process.returncode == 0, err
    assert "Traceback" not in err + (tmp_path / "edge.log").read_text() + (tmp_path / "central.log").read_text()
    last = out.splitlines()[-1]
    assert number(r"published (\d+)", last) > 100
    assert number(r"climate \d+ waiting/(\d+) done", last) > 50
    assert number(r"(\d+) at the central hub", last) > 50
    assert "uplink cut, link down" in out
    assert left_over(mark) == []


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGHUP], ids=["ctrl-c", "closed terminal"])
def test_it_shows_its_dashboard_and_ctrl_c_and_a_closed_terminal_end_it_in_order(
    tmp_path: Path, mark: str, signal_number: signal.Signals
) -> None:
    with demo(mark, tmp_path) as process:
        assert process.stdout is not None
        page = process.stdout.readline().removeprefix("dashboard at ").strip()
        with urllib.request.urlopen(page, timeout=60) as answer:
            assert "hubqueue" in answer.read().decode()
        assert "edge hub at" in process.stdout.readline()
        assert len(left_over(mark)) == 3  # itself, the broker, the central hub
        process.send_signal(signal_number)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert left_over(mark) == []


async def test_the_demo_uses_the_broker_it_is_given(tmp_path: Path, mark: str) -> None:
    async with Mosquitto(tmp_path) as broker:
        arguments = ("--duration", "6", "--mqtt-url", f"mqtt://127.0.0.1:{broker.port}")
        with demo(mark, tmp_path / "demo", *arguments) as process:
            out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert number(r"climate \d+ waiting/(\d+) done", out.splitlines()[-1]) > 10
