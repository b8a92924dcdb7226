"""The Home Assistant app in its real image, run by podman as the Supervisor would: bounded memory, nothing writable.

The network is the machine's own, so ports are free ones and the fake Supervisor is on loopback.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final, Self

import yaml

from support.cached import CACHE
from support.dashboard import Asker
from support.ports import free_port
from support.supervisor import TOKEN, FakeSupervisor
from support.waiting import PATIENCE_S, until_true

ROOT: Final = Path(__file__).parents[2]
PODMAN: Final = (
    *("podman", "--root", str(CACHE / "containers"), "--runroot", "/run/hubqueue-containers"),
    *("--cgroup-manager", "cgroupfs", "--runtime", "runc"),
)
# what Debian's runc needs where there is no systemd
LIMITS: Final = (
    *("--network", "host", "--log-driver", "none", "--no-healthcheck", "--cgroups", "enabled"),
    *("--ulimit", "nofile=20000:20000", "--ulimit", "nproc=20000:20000"),
    "--read-only",
)
BUILD_S: Final = 900.0
COMMAND_S: Final = 90.0
_numbers = itertools.count(1)


def build(*arguments: str) -> str:
    """The image that script/addon-image makes, built if anything changed. A failure shows what the script said."""
    made = subprocess.run(
        [str(ROOT / "script" / "addon-image"), *arguments], capture_output=True, text=True, timeout=BUILD_S, check=False
    )
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


def podman(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PODMAN, *arguments], capture_output=True, text=True, timeout=COMMAND_S, check=False)


def installed(image: str) -> dict[str, str]:
    """Every file of the engine in an image, by its path: its SHA-256. Not pip's notes about the wheel it came from."""
    notes = " ".join(f"! -name {name}" for name in ("'*.pyc'", "direct_url.json", "RECORD"))
    command = f"cd /opt/hubqueue && find . -type f {notes} -exec sha256sum {{}} +"
    listed = podman("run", "--rm", *LIMITS, "--entrypoint", "sh", image, "-c", command)
    assert listed.returncode == 0, listed.stderr
    return {path: digest for digest, path in (line.split(maxsplit=1) for line in listed.stdout.splitlines())}


def inspect(image: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = json.loads(podman("image", "inspect", image).stdout)
    return found[0]


class AppContainer:
    """`with AppContainer(image, folder, supervisor) as app`: running until the end of the block."""

    def __init__(
        self,
        image: str,
        folder: Path,
        supervisor: FakeSupervisor,
        *,
        options: dict[str, Any] | None = None,
        settings: dict[str, Any] | None = None,
        memory: str = "128m",
        patience_s: float = PATIENCE_S,
    ) -> None:
        """settings: of hubqueue.yaml, beside the ports."""
        self.data, self.config, self.ssl = folder / "data", folder / "config", folder / "ssl"
        for path in (self.data, self.config, self.ssl):
            path.mkdir(parents=True)
        self.name = f"hubqueue-test-{os.getpid()}-{next(_numbers)}"
        self.port, self.http, self.ingress, self.internal = (free_port() for _ in range(4))
        self._image = image
        self._supervisor = supervisor
        self._log = folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self._patience_s = patience_s
        self._memory = memory
        default = {"log_level": "info", "mqtt": True, "forwarders": []}
        (self.data / "options.json").write_text(json.dumps({**default, **(options or {})}))
        self.settings({**(settings or {})})

    def settings(self, values: dict[str, Any]) -> None:
        """Write hubqueue.yaml; the next start reads it."""
        http = {
            "port": self.http,
            "ingress": {"port": self.ingress, "trusted": "127.0.0.1"},
            "internal": {"port": self.internal},
        }
        written = {"tcp": {"port": self.port}, "http": http, **values}
        (self.config / "hubqueue.yaml").write_text(yaml.safe_dump(written))

    def start(self) -> Self:
        """Start it, and return once it answers."""
        mounts = [f"--volume={path}:/{path.name}:{mode}" for path, mode in self._mounts()]
        environment = [
            f"--env=HUBQUEUE_SUPERVISOR_URL={self._supervisor.url}",
            f"--env=SUPERVISOR_TOKEN={TOKEN}",
            f"--env=HUBQUEUE_URL=tcp://127.0.0.1:{self.port}",
        ]
        before = self.log().count("ready tcp=")
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *PODMAN,
                    "run",
                    "--rm",
                    "--name",
                    self.name,
                    "--memory",
                    self._memory,
                    *LIMITS,
                    *mounts,
                    *environment,
                    self._image,
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            until_true(lambda: self.log().count("ready tcp=") > before or self._ended(), timeout_s=self._patience_s)
            assert not self._ended(), self.log()
        except AssertionError:
            self.end("KILL")
            raise AssertionError(f"the app did not start:\n{self.log()}") from None
        return self

    def end(self, number: str) -> int:
        """Send a signal to the hub, and wait for the container's end: its exit code."""
        self.signal(number)
        return self.wait()

    def signal(self, number: str) -> None:
        podman("kill", "--signal", number, self.name)

    def wait(self) -> int:
        """Its exit code, once it has ended by itself."""
        process, self._process = self._process, None
        assert process is not None
        try:
            return process.wait(self._patience_s)
        finally:
            podman("rm", "--force", "--ignore", self.name)

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command inside, as the Supervisor runs hooks."""
        return podman("exec", self.name, *command)

    def token(self) -> str:
        """The integration's token."""
        return (self.data / "integration.token").read_text()

    def ask(self) -> Asker:
        """A connection to the TCP port, with the integration's token."""
        return Asker(self.port, self.token())

    def waiting(self, queue: str) -> int:
        with self.ask() as ask:
            found = ask("GetJobCounts", queue=queue)
        counts = found.get("counts", found)
        return int(counts["waiting"]) + int(counts["delayed"]) + int(counts["active"])

    def log(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self.end("KILL")

    def _mounts(self) -> list[tuple[Path, str]]:
        return [(self.data, "rw"), (self.config, "rw"), (self.ssl, "ro")]

    def _ended(self) -> bool:
        return self._process is not None and self._process.poll() is not None


def empty(folder: Path) -> None:
    """Take away all that is in it, as a restore does first."""
    for item in folder.iterdir():
        shutil.rmtree(item) if item.is_dir() else item.unlink()
