"""Connections of the HTTP door: how many there may be, and how long they may take to say something."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from hubqueue.commands.auth import Authenticator
from hubqueue.commands.call import CallContext
from hubqueue.servers.http.rest.serve import rest
from hubqueue.servers.http.server import HttpServer
from hubqueue.servers.http.settings import HttpSettings
from support.http import app_of, base_of, browser
from support.waiting import in_time, until


async def test_connections_are_bounded(tmp_path: Path) -> None:
    async with app_of(tmp_path, max_connections=2) as app:
        base, listener = base_of(app), app.doors.http
        assert listener is not None
        port = int(base.rpartition(":")[2])
        others = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
        await until(lambda: listener.connections == 2)
        async with browser(base) as session, session.get("/api/v1/queues") as answer:
            assert answer.status == 503
        others[0][1].close()
        await until(lambda: listener.connections == 1)
        async with browser(base) as session, session.get("/api/v1/queues") as answer:
            assert answer.status == 200
        others[1][1].close()


async def test_who_sends_no_whole_request_is_cut_and_others_are_not(tmp_path: Path) -> None:
    async with app_of(tmp_path) as app:
        assert app.doors.http is not None
        context = CallContext(app.hub, Authenticator({}, asyncio.get_running_loop().time), app.workers, "1")
        server = HttpServer(context, HttpSettings(port=0, request_s=0.2), [rest])
        await server.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b"GET / HTTP/1.1\r\nHost: local")
        async with browser(f"http://127.0.0.1:{server.port}") as session:
            async with session.get("/api/v1/queues") as answer:
                assert answer.status == 200
            assert await ended(reader)
            async with session.get("/api/v1/queues") as answer:  # on the connection that was kept
                assert answer.status == 200
        writer.close()
        await server.close()


async def ended(reader: asyncio.StreamReader) -> bool:
    """Whether the other side ends the connection without a word."""
    try:
        async with in_time():
            return await reader.read() == b""
    except ConnectionResetError:
        return True


async def test_nonsense_is_refused_and_fills_no_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with app_of(tmp_path) as app:
        assert app.doors.http is not None
        for nonsense in (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"\x16\x03\x01\r\n\r\n", b"G" * 100_000):
            reader, writer = await asyncio.open_connection("127.0.0.1", app.doors.http.port)
            writer.write(nonsense)
            assert (await reader.read()).startswith(b"HTTP/1.0 400 ")
            writer.close()
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []
