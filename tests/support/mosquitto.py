"""A real Mosquitto on a free port: with password, TLS and persistence where a test wants them; killed and restarted.

Tests of delivery, overlaps, flow control and restarts run against each of VERSIONS: 2.0 sends more than Receive Maximum
and merges copies for MQTT 3.1.1; 2.1 keeps to it and merges nothing.
The port stays the same over restarts, so that links find the broker again.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Self

from support.certificates import Certificates
from support.ports import free_port
from support.waiting import PATIENCE_S, in_time

VERSIONS = ("2.0", "2.1")
ROOT = Path(__file__).parents[2]


class Mosquitto:
    """`async with Mosquitto(tmp_path) as broker`: running until the end of the block."""

    def __init__(
        self,
        folder: Path,
        version: str = "2.0",
        *,
        login: tuple[str, str] | None = None,
        tls: Certificates | None = None,
        client_certificate: bool = False,
        persistence: bool = False,
        lines: tuple[str, ...] = (),
    ) -> None:
        self.port = free_port()
        self._version = version
        self._folder = folder / f"mosquitto-{self.port}"
        self._folder.mkdir(parents=True)
        self._process: subprocess.Popen[bytes] | None = None
        self._configure(login, tls, client_certificate, persistence, lines)

    async def start(self) -> None:
        """Start, and wait until it accepts connections."""
        binary = program(self._version)
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([binary, "-c", str(self._conf)], stdout=log, stderr=log)  # noqa: ASYNC220
        async with in_time():
            while not await self._accepts():
                assert self._process.poll() is None, self.log()
                await asyncio.sleep(0.02)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """SIGKILL: what it had not written is gone."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM: it writes its database first."""
        self._end(signal.SIGTERM)

    def freeze(self) -> None:
        """SIGSTOP: connections stay open and nobody answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            if number is not signal.SIGKILL:
                self._process.send_signal(signal.SIGCONT)
            self._process.wait(PATIENCE_S)
            self._process = None

    async def _accepts(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        return True

    def _configure(
        self,
        login: tuple[str, str] | None,
        tls: Certificates | None,
        client_certificate: bool,
        persistence: bool,
        more: tuple[str, ...],
    ) -> None:
        self._conf = self._folder / "mosquitto.conf"
        self._log = self._folder / "log"
        self._log.touch()
        lines = [f"listener {self.port} 127.0.0.1", "max_queued_messages 100000"]
        if not any(line.startswith("log_type") for line in more):
            lines.append("log_type all")
        if os.geteuid() == 0:
            lines.append("user root")
        if tls is not None:
            lines += [f"cafile {tls.ca}", f"certfile {tls.cert}", f"keyfile {tls.key}"]
            lines.append(f"require_certificate {'true' if client_certificate else 'false'}")
        if login is None:
            lines.append("allow_anonymous true")
        else:
            passwords = self._folder / "passwords"
            subprocess.run(["mosquitto_passwd", "-b", "-c", str(passwords), *login], check=True)
            lines += ["allow_anonymous false", f"password_file {passwords}"]
        if persistence:
            lines += ["persistence true", f"persistence_location {self._folder}/", "autosave_interval 1800"]
        self._conf.write_text("\n".join((*lines, *more, "")))


@cache
def program(version: str) -> str:
    """The path of a Mosquitto: that of the machine, or the newer one that script/setup --tests gets."""
    if version == "2.0":
        return shutil.which("mosquitto") or "/usr/sbin/mosquitto"
    done = subprocess.run([str(ROOT / "script" / "mosquitto21")], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"there is no Mosquitto {version}: {done.stderr.strip()}")
    return done.stdout.strip()
