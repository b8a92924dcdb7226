"""A real `hubqueue pipeline run` process, one member of a consumer group: killed, frozen, thawed."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from typing import Self

import aiohttp

from support.hub_process import clean_environment
from support.waiting import PATIENCE_S


class MemberProcess:
    """`with MemberProcess(folder, file, source) as member`: runs until the end of the block."""

    def __init__(self, folder: Path, file: Path, source: str, *arguments: str, name: str = "member") -> None:
        self.port = 0
        self._log = folder / f"{name}.log"
        self._command = [
            *(sys.executable, "-m", "hubqueue", "pipeline", "run", str(file), "--source", source),
            *("--metrics", "127.0.0.1:0", *arguments),
        ]
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> Self:
        """Start, and return once its metrics can be read."""
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                self._command,
                env=clean_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._process.stdout is not None
        with DefaultSelector() as selector:
            selector.register(self._process.stdout, EVENT_READ)
            line = self._process.stdout.readline() if selector.select(PATIENCE_S) else ""
        assert line.startswith("ready "), self.log()
        self.port = int(dict(word.split("=", 1) for word in line.split()[1:])["metrics"].rpartition(":")[2])
        return self

    async def metric(self, name: str) -> float:
        """The sum of its samples."""
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{self.port}/metrics") as answer:
            assert answer.status == 200, self.log()
            lines = (await answer.text()).splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name + "{"))

    async def status(self, path: str) -> int:
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{self.port}{path}") as answer:
            return answer.status

    def tell(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def end(self, number: signal.Signals = signal.SIGKILL) -> int:
        """Its exit code, after this signal."""
        process, self._process = self._process, None
        if process is None:
            return 0
        process.send_signal(number)
        try:
            return process.wait(60)
        finally:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()

    def wait(self) -> int:
        """Its exit code, once it has ended by itself."""
        assert self._process is not None
        code = self._process.wait(60)
        self.end()
        return code

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.end()
