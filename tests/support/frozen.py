"""Processes that are stopped by SIGSTOP: their connections stay open, and nobody answers."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from support.waiting import until_true


def freeze(pids: Sequence[int]) -> None:
    """Stop them, and wait until they are: a signal takes its time."""
    _tell(pids, signal.SIGSTOP)
    until_true(lambda: all(_threads_stopped(pid) for pid in pids))


def thaw(pids: Sequence[int]) -> None:
    _tell(pids, signal.SIGCONT)


def _tell(pids: Sequence[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):  # one of them has ended meanwhile
            os.kill(pid, number)


def _threads_stopped(pid: int) -> bool:
    """Whether every thread is stopped, or ended meanwhile."""
    try:
        states = [path.read_text().rpartition(")")[2].split()[0] for path in Path(f"/proc/{pid}/task").glob("*/stat")]
    except (FileNotFoundError, ProcessLookupError):
        return not Path(f"/proc/{pid}").exists()
    return all(state in "TtZX" for state in states)
