"""A real bunqueue server for tests: installed from npm once, then started on free ports with a file of its own.

`script/setup` may run this module to install ahead (`python -m support.bunqueue` in tests/). A machine on which the
installation fails has a failing test, not a skipped one.
"""

from __future__ import annotations

import asyncio
import platform
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from support.cached import kept, npm
from support.ports import free_port
from support.waiting import in_time

VERSION: Final = "2.9.5"
BUN_VERSION: Final = "1.4.5"
BUN_PACKAGE: Final = {"x86_64": "bun-linux-x64-baseline", "aarch64": "bun-linux-aarch64"}


def install() -> Path:
    """The folder with bun and bunqueue, made in the cache if it is not there yet."""
    packages = {"bunqueue": VERSION, f"@oven/{_bun_package()}": BUN_VERSION}
    return kept(f"bunqueue-{VERSION}", lambda empty: npm(empty, packages, "--omit=peer", "--legacy-peer-deps"))


def bun(installed: Path) -> Path:
    """The Bun binary in the folder that `install` made."""
    return installed / "node_modules" / "@oven" / _bun_package() / "bin" / "bun"


def _bun_package() -> str:
    return BUN_PACKAGE[platform.machine()]


class Bunqueue:
    """`async with Bunqueue(folder) as server`: a running server; connect to `server.port`."""

    def __init__(self, folder: Path, *, tokens: str | None = None, cert: Path | None = None, key: Path | None = None):
        self.port = free_port()
        self._folder = folder
        self._tokens = tokens
        self._tls = [] if cert is None else ["--tls-cert", str(cert), "--tls-key", str(key)]
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        installed = await asyncio.to_thread(install)
        command = [
            *(str(bun(installed)), str(installed / "node_modules/bunqueue/dist/cli/index.js")),
            *("start", "--host", "127.0.0.1", "--tcp-port", str(self.port), "--http-port", str(free_port())),
            *("--data-path", str(self._folder / "bunqueue.db")),
            *(["--auth-tokens", self._tokens] if self._tokens else []),
            *self._tls,
        ]
        with (self._folder / "bunqueue.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log, cwd=self._folder)
        try:
            await self._answers()
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end()

    async def _answers(self) -> None:
        assert self._process is not None
        async with in_time():
            while True:
                if self._process.returncode is not None:
                    raise RuntimeError(f"bunqueue ended: {(self._folder / 'bunqueue.log').read_text()[-2000:]}")
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                except OSError:
                    await asyncio.sleep(0.05)
                else:
                    writer.transport.abort()
                    return

    async def _end(self) -> None:
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            async with in_time():
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


if __name__ == "__main__":
    install()
