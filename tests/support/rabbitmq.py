"""A real RabbitMQ on loopback, with folders, ports and a name server of its own; never the one of the system.

Killed and restarted it keeps its port and what was durable.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import aio_pika

from support.certificates import Certificates
from support.ports import free_port
from support.waiting import PATIENCE_S

SERVER = "/usr/lib/rabbitmq/bin/rabbitmq-server"  # without the wrapper that changes the user
START_S = 90.0


class RabbitMq:
    """`start` until `end`. tls: for a second, encrypted port."""

    def __init__(self, folder: Path, *, tls: Certificates | None = None) -> None:
        self.port = free_port()
        self.tls_port = free_port()
        self._folder = folder / f"rabbitmq-{self.port}"
        self._folder.mkdir(parents=True)
        (self._folder / "plugins").write_text("[].\n")
        lines = [f"listeners.tcp.1 = 127.0.0.1:{self.port}", "loopback_users = none"]
        if tls is not None:
            lines += [f"listeners.ssl.1 = 127.0.0.1:{self.tls_port}", f"ssl_options.cacertfile = {tls.ca}"]
            lines += [f"ssl_options.certfile = {tls.cert}", f"ssl_options.keyfile = {tls.key}"]
        (self._folder / "rabbitmq.conf").write_text("\n".join((*lines, "")))
        self._epmd_port = free_port()
        self._env = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("RABBITMQ_", "ERL_"))},
            "HOME": str(self._folder),
            "RABBITMQ_NODENAME": f"tests{self.port}@localhost",
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(self._folder / "data"),
            "RABBITMQ_LOG_BASE": str(self._folder / "logs"),
            "RABBITMQ_PID_FILE": str(self._folder / "pid"),
            "RABBITMQ_CONFIG_FILE": str(self._folder / "rabbitmq"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self._folder / "plugins"),
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "+S 1:1 +sbwt none",
            "ERL_EPMD_PORT": str(self._epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_CRASH_DUMP_SECONDS": "0",
        }
        self._epmd: subprocess.Popen[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}/"

    async def start(self) -> None:
        """Start, and wait until it lets clients in."""
        with (self._folder / "log").open("ab") as log:
            if self._epmd is None:
                epmd = shutil.which("epmd", path=f"{os.environ.get('PATH', '')}:/usr/bin")
                assert epmd is not None, "epmd is missing: script/setup --tests installs it with rabbitmq-server"
                self._epmd = subprocess.Popen(  # noqa: ASYNC220
                    [epmd], env=self._env, stdout=log, stderr=log, stdin=subprocess.DEVNULL
                )
            self._process = subprocess.Popen(  # noqa: ASYNC220
                [SERVER], env=self._env, stdout=log, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
            )
        async with asyncio.timeout(START_S):
            while not await self._accepts():
                assert self._process.poll() is None, self.log()
                await asyncio.sleep(0.1)

    def kill(self) -> None:
        """SIGKILL, of all its processes: what is not on the disk is gone."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(PATIENCE_S)
            self._process = None

    def log(self) -> str:
        return (self._folder / "log").read_text(errors="replace")

    async def _accepts(self) -> bool:
        try:
            connection = await aio_pika.connect(self.url, timeout=5)
        except (OSError, TimeoutError, aio_pika.exceptions.AMQPError):
            return False
        await connection.close()
        return True

    def end(self) -> None:
        """No process of it is left."""
        self.kill()
        if self._epmd is not None:
            self._epmd.kill()
            self._epmd.wait(PATIENCE_S)
