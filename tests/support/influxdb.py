"""A real InfluxDB 1 (Debian's) on free ports, with a login and a database; killed and started again."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

from support.ports import free_port
from support.waiting import until

LOGIN = ("hub", "s3cret")
DATABASE = "site"


class Influxdb:
    """`async with Influxdb(tmp_path) as influxdb`: running until the end of the block."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._folder = folder / "influxdb"
        self._folder.mkdir(parents=True)
        self._log = self._folder / "log"
        self._process: subprocess.Popen[bytes] | None = None
        self._made = False
        settings = {
            "meta": f'dir = "{self._folder}/meta"',
            "data": f'dir = "{self._folder}/data"\nwal-dir = "{self._folder}/wal"',
            "monitor": "store-enabled = false",
            "http": f'bind-address = "127.0.0.1:{self.port}"\nauth-enabled = true',
        }
        text = "\n".join(f"[{name}]\n{lines}" for name, lines in settings.items())
        head = f'reporting-disabled = true\nbind-address = "127.0.0.1:{free_port()}"\n'
        (self._folder / "influxdb.conf").write_text(head + text)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start, and wait until it answers."""
        binary = shutil.which("influxd") or "/usr/bin/influxd"
        config = str(self._folder / "influxdb.conf")
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([binary, "run", "-config", config], stdout=log, stderr=log)  # noqa: ASYNC220
        await until(self._answers)
        if not self._made:
            await self.ask(f"CREATE USER {LOGIN[0]} WITH PASSWORD '{LOGIN[1]}' WITH ALL PRIVILEGES", login=False)
            await self.ask(f"CREATE DATABASE {DATABASE}")
            self._made = True

    def kill(self) -> None:
        """SIGKILL."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    async def ask(self, query: str, *, login: bool = True) -> list[dict[str, Any]]:
        """The rows of an InfluxQL query, one map each."""
        known = urlencode(dict(zip("up", LOGIN, strict=True)) if login else {})
        body = urlencode({"q": query, "db": DATABASE, "epoch": "ns"}).encode()
        answer = await asyncio.to_thread(self._post, f"{self.url}/query?{known}", body)
        rows = []
        for result in answer["results"]:
            assert "error" not in result, result
            for series in result.get("series", []):
                rows += [
                    dict(zip(series["columns"], row, strict=True)) | {"name": series.get("name", "")}
                    for row in series["values"]
                ]
        return rows

    async def write(self, lines: str) -> None:
        """Points of this database."""
        query = urlencode({"db": DATABASE, **dict(zip("up", LOGIN, strict=True))})

        def post() -> None:
            with urlopen(f"{self.url}/write?{query}", lines.encode(), 60):
                pass

        await asyncio.to_thread(post)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def _post(self, url: str, body: bytes) -> Any:
        with urlopen(url, body, 60) as answer:
            return json.load(answer)

    async def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self._log.read_text(errors="replace")
        try:
            return await asyncio.to_thread(self._ping)
        except (URLError, OSError):
            return False

    def _ping(self) -> bool:
        with urlopen(f"{self.url}/ping", None, 10) as answer:
            return bool(answer.status == 204)
