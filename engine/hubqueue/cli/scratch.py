"""A hub process of our own on a throw-away file, for the self-test and the demo's central server."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from hubqueue.errors import StoreError

_STOP_S: Final = 15.0  # more than a drain with nothing running takes


@contextmanager
def scratch_hub(data_path: Path, extra: Sequence[str] = ()) -> Iterator[tuple[int, int]]:
    """Run `hubqueue run` on a free loopback port; gives the port and the process id.

    Errors: StoreError when it does not start; its own words stand on standard error.
    """
    command = [sys.executable, "-m", "hubqueue", "run", "--config", "/dev/null", "--data-path", str(data_path)]
    command += ["--host", "127.0.0.1", "--tcp-port", "0", "--http-port", "0", "--log-level", "warning", *extra]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            yield ready_port(process.stdout.readline()), process.pid
        finally:
            process.terminate()
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()


def ready_port(line: str) -> int:
    """The TCP port of a `ready tcp=127.0.0.1:43121` line."""
    word = next((word for word in line.split() if word.startswith("tcp=")), None)
    if not line.startswith("ready ") or word is None:
        raise StoreError("the hub process did not start", hint="its message stands above")
    return int(word.rpartition(":")[2])
