"""A whole hub with its HTTP door on a free port, and clients that keep cookies as a browser does."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from hubqueue.app import App
from hubqueue.config.settings import Config, HttpDoor, TcpDoor


@asynccontextmanager
async def app_of(folder: Path, *, tokens: tuple[Any, ...] = (), **http: Any) -> AsyncIterator[App]:
    config = Config(
        data_path=folder / "hub.db",
        tcp=TcpDoor(port=0, tokens=tokens),
        http=HttpDoor(port=0, **http),
        drain_s=0.5,
    )
    async with App(config) as app:
        yield app


def base_of(app: App) -> str:
    assert app.doors.http is not None
    return f"http://127.0.0.1:{app.doors.http.port}"


@asynccontextmanager
async def browser(base: str, headers: Mapping[str, str] | None = None) -> AsyncIterator[aiohttp.ClientSession]:
    jar = aiohttp.CookieJar(unsafe=True)  # cookies of an address
    async with aiohttp.ClientSession(base, headers=headers, cookie_jar=jar) as session:
        yield session
