"""Processes that are stopped by SIGSTOP: their connections stay open, and nobody answers."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path

PATIENCE_S = 30.0


def freeze(pids: Sequence[int]) -> None:
    """Stop them, and wait until they are: a signal takes its time."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    end = time.monotonic() + PATIENCE_S
    while not all(_threads_stopped(pid) for pid in pids):
        assert time.monotonic() < end, "not stopped"
        time.sleep(0.001)


def thaw(pids: Sequence[int]) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGCONT)


def _threads_stopped(pid: int) -> bool:
    """Whether every thread is stopped, or ended meanwhile."""
    try:
        states = [path.read_text().rpartition(")")[2].split()[0] for path in Path(f"/proc/{pid}/task").glob("*/stat")]
    except (FileNotFoundError, ProcessLookupError):
        return not Path(f"/proc/{pid}").exists()
    return all(state in "TtZX" for state in states)
