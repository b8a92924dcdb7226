"""A real `hubqueue run` process on a free port, as anybody would start it; stopped, killed and started again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from selectors import EVENT_READ, DefaultSelector
from typing import Self

from support.waiting import PATIENCE_S


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Ours without HUBQUEUE_*: what the developer has set must not change a test. HTTP takes a free port."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HUBQUEUE_")}
    ours = {"HUBQUEUE_HTTP_PORT": "0", "PYTHONFAULTHANDLER": "1"}  # several run side by side; a crash says where
    return {**kept, **ours, **(extra or {})}


class HubProcess:
    """`with HubProcess(folder) as hub`: runs until the end of the block, on `folder/hub.db`.

    program: what `python` runs, if not `-m hubqueue` (support.other_api).
    """

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        config: Path | None = None,
        environ: Mapping[str, str] | None = None,
        python: str = sys.executable,
        program: Sequence[str] = ("-m", "hubqueue"),
    ) -> None:
        self.folder = folder
        self.port = 0
        self.http_port = 0
        self.hub_id = ""
        self.pid = 0
        self._environ = clean_environment(environ)
        self._command = (python, *program)
        self._log = folder / "hub.log"
        config_arguments = ["--config", str(config)] if config is not None else []
        self._arguments: Sequence[str] = [
            *(["--data-path", str(folder / "hub.db")] if config is None else config_arguments),
            *(arguments or ("--tcp-port", "0")),
        ]
        self._process: subprocess.Popen[str] | None = None

    @property
    def url(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    def start(self) -> Self:
        """Start, and return once it is ready."""
        with self._log.open("a") as log:
            self._process = subprocess.Popen(
                [*self._command, "run", *self._arguments],
                cwd=self.folder,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        words = dict(word.split("=", 1) for word in self._first_line().split()[1:])
        self.port = int(words["tcp"].rpartition(":")[2])
        self.http_port = int(words["http"].rpartition(":")[2]) if "http" in words else 0
        self.hub_id = words["hub"]
        self.pid = int(words["pid"])
        return self

    def stop(self) -> int:
        """SIGTERM; its exit code."""
        return self.end(signal.SIGTERM)

    def kill(self) -> int:
        """SIGKILL."""
        return self.end(signal.SIGKILL)

    def end(self, number: signal.Signals) -> int:
        """Send a signal and wait for the end."""
        self.signal(number)
        return self.wait()

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def wait(self) -> int:
        """The exit code, once it has ended."""
        assert self._process is not None
        process, self._process = self._process, None
        try:
            return process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"the hub did not end within {PATIENCE_S:g} s:\n{self.log()}") from None
        finally:
            assert process.stdout is not None
            process.stdout.close()

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self.kill()

    def _first_line(self) -> str:
        assert self._process is not None
        assert self._process.stdout is not None
        with DefaultSelector() as selector:
            selector.register(self._process.stdout, EVENT_READ)
            ready = selector.select(PATIENCE_S)
        line = self._process.stdout.readline() if ready else ""
        if not line.startswith("ready "):
            code = self.kill()
            raise AssertionError(f"the hub did not start (exit code {code}):\n{self.log()}")
        return line
