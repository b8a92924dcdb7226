"""A real PostgreSQL on a free port: Debian's plain one or one with TimescaleDB; killed, frozen and restarted.

The port and the data stay the same over restarts. Where tests run as root, the server runs in a user namespace of
its own, since it refuses to be root; its files stay ours.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final, Self

import asyncpg

from support import frozen
from support.certificates import Certificates
from support.ports import free_port
from support.waiting import PATIENCE_S, in_time

ROOT: Final = Path(__file__).parents[2]
PASSWORD: Final = "owner's password"


class Postgres:
    """`async with Postgres(tmp_path) as server`: running until the end of the block. User and database: postgres."""

    def __init__(
        self,
        folder: Path,
        *,
        timescale: bool = False,
        tls: Certificates | None = None,
        lines: Sequence[str] = (),
    ) -> None:
        self.port = free_port()
        self._programs = timescale_programs() if timescale else plain_programs()
        self._data = folder / f"postgres-{self.port}"
        self._log = folder / f"postgres-{self.port}.log"
        self._process: subprocess.Popen[bytes] | None = None
        shutil.copytree(_made(self._programs), self._data)
        conf = [
            "listen_addresses = '127.0.0.1'",
            f"port = {self.port}",
            "unix_socket_directories = ''",
            "fsync = off",  # the machine is not cut off here, only processes are killed
            "max_connections = 30",
            "shared_buffers = '16MB'",
            "logging_collector = off",
            "dynamic_shared_memory_type = mmap",  # in its own folder, or a killed one leaves it to the machine
            "timezone = 'UTC'",
        ]
        if timescale:
            conf += ["shared_preload_libraries = 'timescaledb'", "timescaledb.telemetry_level = off"]
        if tls is not None:
            conf += ["ssl = on", f"ssl_cert_file = '{self._own(tls.cert)}'", f"ssl_key_file = '{self._own(tls.key)}'"]
        with (self._data / "postgresql.conf").open("a") as file:
            file.write("\n".join((*conf, *lines, "")))

    async def start(self) -> None:
        """Start, and wait until it answers."""
        with self._log.open("ab") as log:
            command = [*_namespace(), str(self._programs / "postgres"), "-D", str(self._data)]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)  # noqa: ASYNC220
        async with in_time():
            while not await self._answers():
                assert self._process.poll() is None, self.log()
                await asyncio.sleep(0.02)

    def kill(self) -> None:
        """SIGKILL to the server and all that it started: nobody says goodbye to anybody."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGINT: clients are told, then it ends."""
        self._end(signal.SIGINT)

    def close(self) -> None:
        """SIGQUIT: it ends at once and leaves no shared memory behind."""
        self._end(signal.SIGQUIT)

    def freeze(self) -> None:
        """SIGSTOP: connections stay open and nobody answers."""
        frozen.freeze(self._pids())

    def thaw(self) -> None:
        frozen.thaw(self._pids())

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def url(self, database: str = "postgres", user: str = "postgres") -> str:
        return f"postgresql://{user}@127.0.0.1:{self.port}/{database}"

    async def connect(self, database: str = "postgres") -> asyncpg.Connection[Any]:
        return await asyncpg.connect(
            host="127.0.0.1", port=self.port, user="postgres", password=PASSWORD, database=database, ssl=False
        )

    async def query(self, sql: str, *values: object, database: str = "postgres") -> list[asyncpg.Record]:
        """The rows of a query, on a connection of its own."""
        connection = await self.connect(database)
        try:
            return list(await connection.fetch(sql, *values))
        finally:
            await connection.close()

    async def execute(self, *statements: str, database: str = "postgres") -> None:
        """Statements, each a transaction of its own."""
        connection = await self.connect(database)
        try:
            for statement in statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def _own(self, file: Path) -> Path:
        """A copy that only the server may read: it insists on that for keys."""
        copy = self._data / file.name
        copy.write_bytes(file.read_bytes())
        copy.chmod(0o600)
        return copy

    async def _answers(self) -> bool:
        try:
            await (await self.connect()).close()
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            return False
        return True

    def _pids(self) -> list[int]:
        """The server and its children."""
        assert self._process is not None
        found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(self._process.pid)], capture_output=True, check=False)
        return [self._process.pid, *map(int, found.stdout.split())]

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        if number is signal.SIGKILL:
            frozen.freeze([self._process.pid])  # or it would start others while these end
            for pid in self._pids():
                _kill(pid)
        else:
            self.thaw()
            self._process.send_signal(number)
        self._process.wait(PATIENCE_S)
        self._process = None


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _namespace() -> list[str]:
    return ["unshare", "--user", "--map-user=65534", "--map-group=65534"] if os.geteuid() == 0 else []


@cache
def _made(programs: Path) -> Path:
    """The files of an empty server, made once."""
    folder = Path(tempfile.mkdtemp(prefix="postgres-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    secret = folder / "secret"
    secret.write_text(PASSWORD)
    command = [str(programs / "initdb"), "-D", str(folder / "data"), "-U", "postgres", f"--pwfile={secret}"]
    options = ["-A", "scram-sha-256", "--no-sync", "--locale=C", "--encoding=UTF8", "--wal-segsize=1"]
    done = subprocess.run([*_namespace(), *command, *options], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "data"


@cache
def plain_programs() -> Path:
    """The newest PostgreSQL that Debian's packages put on this machine."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    assert found, "there is no PostgreSQL here: run script/setup --tests"
    return found[-1].parent


@cache
def timescale_programs() -> Path:
    done = subprocess.run([str(ROOT / "script" / "timescaledb")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip())
