"""A Supervisor as far as an app meets it: hands out the broker's login, takes discovery, backs up and restores /data.

The HTTP part runs in a thread of its own, so that blocking tests may use it.
"""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path, PurePath
from typing import Any, Final, Self

import yaml
from aiohttp import web

from support.waiting import PATIENCE_S

TOKEN: Final = "supervisors-own-token"
CONFIG: Final = Path(__file__).parents[2] / "addon" / "config.yaml"


class FakeSupervisor:
    """`with FakeSupervisor() as supervisor`: answers at `url`. Set `mqtt` to the login it hands out."""

    def __init__(self, mqtt: dict[str, Any] | None = None) -> None:
        self.mqtt = mqtt
        self.refusals = 0  # so many discoveries are answered "busy" first
        self.announced: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self.port = 0
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), name="supervisor")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(PATIENCE_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _run(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        app = web.Application()
        app.router.add_get("/services/mqtt", self._services)
        app.router.add_post("/discovery", self._discovery)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port = runner.addresses[0][1]
        self._ready.set()
        await self._stop.wait()
        await runner.cleanup()

    async def _services(self, request: web.Request) -> web.Response:
        self.asked.append(request.path)
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.json_response({"result": "error", "message": "Forbidden"}, status=403)
        if self.mqtt is None:
            return web.json_response({"result": "error", "message": "Service not enabled"}, status=400)
        return web.json_response({"result": "ok", "data": {"addon": "core_mosquitto", "ssl": False, **self.mqtt}})

    async def _discovery(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.json_response({"result": "error", "message": "Forbidden"}, status=403)
        if self.refusals:
            self.refusals -= 1
            return web.json_response({"result": "error", "message": "System is not ready"}, status=503)
        self.announced.append(await request.json())
        return web.json_response({"result": "ok", "data": {"uuid": "5f0c"}})


def back_up(data: Path) -> dict[str, bytes]:
    """What the Supervisor takes of /data: all but what `backup_exclude` names, folders with what is in them."""
    excluded = yaml.safe_load(CONFIG.read_text(encoding="utf-8"))["backup_exclude"]
    taken: dict[str, bytes] = {}

    def add(folder: Path, name: PurePath) -> None:
        for item in folder.iterdir():
            path = name / item.name
            if any(path.match(pattern) for pattern in excluded):
                continue
            if item.is_dir():
                add(item, path)
            else:
                taken[str(path.relative_to("data"))] = item.read_bytes()

    add(data, PurePath("data"))
    return taken


def put_back(taken: dict[str, bytes], data: Path) -> None:
    """What the Supervisor does at a restore, into an empty /data; everything is root's then."""
    for name, content in taken.items():
        path = data / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
