"""The ready-made examples of docs/examples, run by their one command as a reader would."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from support.hub_process import clean_environment

EXAMPLES: Final = Path(__file__).parents[2] / "docs" / "examples"
STOP_S: Final = 60.0


class Example:
    """One that runs."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self._log = log

    @property
    def output(self) -> str:
        return self._log.read_text(errors="replace")

    @property
    def http_port(self) -> int:
        """Where its hub's HTTP door is, by what it has said."""
        found = re.search(r"The hub runs: http://[^:]+:(\d+)/", self.output)
        assert found is not None, self.output
        return int(found[1])

    @property
    def runs(self) -> bool:
        return self._process.poll() is None

    def wait(self, timeout_s: float) -> int:
        return self._process.wait(timeout_s)


@contextmanager
def example(name: str, folder: Path, **variables: object) -> Iterator[Example]:
    """`docs/examples/NAME/run` until the end of the block, with these variables; `hubqueue` is the one under test."""
    programs = Path(sys.executable).parent
    environ = clean_environment({name: str(value) for name, value in variables.items()})
    environ["PATH"] = f"{programs}{os.pathsep}{environ['PATH']}"
    environ["DATA"] = str(folder / "data")
    del environ["HUBQUEUE_HTTP_PORT"]
    (folder / "data").mkdir()
    log = folder / "output"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [EXAMPLES / name / "run"],
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield Example(process, log)
    finally:
        process.terminate()  # it ends its hubs, which have sessions of their own
        try:
            process.wait(STOP_S)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # whatever it has left behind
            process.wait()
