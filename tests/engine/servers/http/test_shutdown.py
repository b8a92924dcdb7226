"""The end of the HTTP door: whoever waits is answered, and it ends after drain_s whatever clients do."""

from __future__ import annotations

import asyncio
from pathlib import Path

from hubqueue.app import App
from hubqueue.config.settings import Config, HttpDoor, TcpDoor
from support.http import base_of, browser
from support.waiting import soon, until

FOR_EVER_S = 3600.0  # a stop that ends did not wait for this


def app_that_drains(folder: Path, drain_s: float = FOR_EVER_S) -> App:
    return App(Config(data_path=folder / "hub.db", tcp=TcpDoor(port=0), http=HttpDoor(port=0), drain_s=drain_s))


async def test_long_polls_are_answered_at_once_when_the_hub_stops(tmp_path: Path) -> None:
    app = app_that_drains(tmp_path)
    await app.start()
    async with browser(base_of(app)) as http:
        async with http.post("/api/v1/queues/q/jobs", json={"name": "a"}) as made:
            id = (await made.json())["id"]

        async def result() -> tuple[int, str]:
            async with http.get(f"/api/v1/jobs/{id}/result", params={"timeout": "60000"}) as answer:
                return answer.status, (await answer.json())["code"]

        async def lease() -> tuple[int, object]:
            async with http.post("/api/v1/queues/none/lease", json={"timeout": 60_000}) as answer:
                return answer.status, (await answer.json())["jobs"]

        waiting = asyncio.gather(result(), lease())
        door = app.doors.http
        assert door is not None
        await until(lambda: door.requests == 2)
        await soon(app.stop())
        assert await waiting == [(503, "draining"), (200, [])]


async def test_a_request_that_never_ends_does_not_hold_the_hub_beyond_its_time(tmp_path: Path) -> None:
    app = app_that_drains(tmp_path, drain_s=0.1)
    await app.start()
    door = app.doors.http
    assert door is not None
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    writer.write(
        b"POST /api/v1/queues/q/jobs HTTP/1.1\r\nHost: localhost\r\n"
        b"Content-Type: application/json\r\nContent-Length: 10\r\n\r\n{"
    )
    await until(lambda: door.requests == 1)
    await soon(app.stop())
    assert await soon(reader.read()) == b""  # cut: it never sent the rest
    writer.close()


async def test_what_ends_in_time_is_answered_as_ever(tmp_path: Path) -> None:
    app = app_that_drains(tmp_path)
    await app.start()
    door = app.doors.http
    assert door is not None
    reader, writer = await asyncio.open_connection("127.0.0.1", door.port)
    writer.write(b"POST /login HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nnext=")
    await until(lambda: door.requests == 1)
    stopping = asyncio.create_task(app.stop())
    await asyncio.sleep(0)
    writer.write(b"/page")
    assert (await reader.read()).startswith(b"HTTP/1.1 303 ")
    await stopping
    writer.close()
