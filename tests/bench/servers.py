"""The servers that can be measured, each as a process of its own on a fresh folder and a free port."""

from __future__ import annotations

import contextlib
import queue
import re
import subprocess
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import ClassVar

from hubqueue.client.load import Line, Target
from support.hub_process import clean_environment

START_S = 60.0  # bunqueue loads its whole backlog before it listens
STOP_S = 60.0


class Server(ABC):
    """A server process. The folder outlives it, so that it can be started again on the same file."""

    name: ClassVar[str]

    def __init__(self, folder: Path, arguments: Sequence[str] = ()) -> None:
        self.folder = folder
        self.arguments = list(arguments)
        self.port = 0
        self._process: subprocess.Popen[str] | None = None

    @abstractmethod
    def command(self) -> list[str]:
        """The command line that starts it."""

    @abstractmethod
    def environment(self) -> dict[str, str]:
        """What it needs in its environment beside ours."""

    @abstractmethod
    def port_of(self, line: str) -> int | None:
        """The TCP port, if this line of its output says that it is ready."""

    @property
    def pid(self) -> int:
        assert self._process is not None, "the server is not running"
        return self._process.pid

    @property
    def target(self) -> Target:
        return Target(self.port)

    def start(self) -> None:
        """Starts the process and returns as soon as it says that it listens."""
        with (self.folder / f"{self.name}.log").open("a", encoding="utf-8") as log:
            self._process = subprocess.Popen(
                self.command(),
                cwd=self.folder,
                env=clean_environment(self.environment()),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        threading.Thread(target=self._read, args=(self._process, lines), daemon=True).start()
        deadline = monotonic() + START_S
        while True:
            try:
                line = lines.get(timeout=max(deadline - monotonic(), 0.01))
            except queue.Empty:
                self.kill()
                raise RuntimeError(f"{self.name} was not ready within {START_S:.0f} s:\n{self.log()}") from None
            if line == "":
                self.kill()
                raise RuntimeError(f"{self.name} ended at its start:\n{self.log()}")
            port = self.port_of(line)
            if port is not None:
                self.port = port
                return

    def stop(self) -> None:
        """Ends it the polite way."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                self.kill()
                raise RuntimeError(f"{self.name} did not stop within {STOP_S:.0f} s:\n{self.log()}") from None
            self._process = None

    def kill(self) -> None:
        """Ends it at once, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def line(self) -> Line:
        """A connection for single requests."""
        return Line(self.target)

    def log(self) -> str:
        """The end of what it wrote to its log."""
        with contextlib.suppress(FileNotFoundError):
            return "\n".join((self.folder / f"{self.name}.log").read_text(encoding="utf-8").splitlines()[-20:])
        return ""

    @staticmethod
    def _read(process: subprocess.Popen[str], lines: queue.SimpleQueue[str]) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                lines.put(line)
        lines.put("")


class Hubqueue(Server):
    """This project's server, from this checkout."""

    name = "hubqueue"

    def command(self) -> list[str]:
        data = str(self.folder / "hub.db")
        return [
            sys.executable,
            "-m",
            "hubqueue",
            "run",
            "--data-path",
            data,
            "--tcp-port",
            "0",
            "--http-port",
            "0",
            *self.arguments,
        ]

    def environment(self) -> dict[str, str]:
        return {"PYTHONUNBUFFERED": "1"}

    def port_of(self, line: str) -> int | None:
        ready = re.match(r"ready .*\btcp=\S*:(\d+)", line)
        return int(ready.group(1)) if ready else None
