"""Runs one suite of the Python client's own tests against a hub: `python bunqueue_suite.py SOURCE SUITE [LEFT_OUT...]`.

A process of its own, since their modules have names like `harness` and register themselves when imported. It only puts
a hub where they would start their server; what is run, and the `PASS name` and `FAIL name` lines, are theirs.
"""

from __future__ import annotations

import importlib
import shutil
import signal
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from support.hub_process import HubProcess

SEPARATE = ("run_auth_tests", "run_standalone_audit_tests")  # these start servers of their own


class KillableHub:
    """What their crash test does with the process of the server."""

    def __init__(self, hub: HubProcess) -> None:
        self._hub = hub

    def kill(self) -> None:
        self._hub.signal(signal.SIGKILL)

    def wait(self, timeout: float) -> int:
        del timeout  # the hub's own bound is shorter than theirs would need to be
        return self._hub.wait()


class HubServer:
    """Their `Server`, with `hubqueue run` in it: started again, it has the port and the file it had."""

    def __init__(self, extra_env: Mapping[str, str] | None = None) -> None:
        self.port = 0
        self.proc: KillableHub | None = None
        self._folder = Path(tempfile.mkdtemp(prefix="hubqueue-suite-"))
        self._environ = {f"HUBQUEUE_{name}": value for name, value in (extra_env or {}).items()}

    def start(self) -> HubServer:
        self._hub = HubProcess(self._folder, "--tcp-port", str(self.port), environ=self._environ).start()
        self.port = self._hub.port
        self.proc = KillableHub(self._hub)
        return self

    def stop(self) -> None:
        if self.proc is not None:
            self._hub.kill()  # stopping would wait for leases that a test left open
            self.proc = None
        shutil.rmtree(self._folder, ignore_errors=True)


def main(source: Path, suite: str, left_out: set[str]) -> None:
    sys.path.insert(0, str(source / "tests"))
    harness: Any = importlib.import_module("harness")
    harness.Server = HubServer
    module = importlib.import_module(suite)
    unknown = left_out - {name for name, _ in harness.TESTS}
    if unknown:
        sys.exit(f"no such tests: {unknown}")
    harness.TESTS[:] = [(name, run) for name, run in harness.TESTS if name not in left_out]
    server = HubServer().start()
    try:
        harness.run_registered(server)
    finally:
        server.stop()
    for separate in SEPARATE:
        if hasattr(module, separate):
            getattr(module, separate)()
    print("END")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], set(sys.argv[3:]))
