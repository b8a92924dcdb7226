"""The demo's uplink: it relays while it is open, and cuts while it is shut."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from hubqueue.demo.uplink import Uplink
from support.waiting import soon


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(100):
        writer.write(chunk)
    writer.close()


@pytest.fixture
async def uplink() -> AsyncIterator[Uplink]:
    server = await asyncio.start_server(_echo, "127.0.0.1", 0)
    link = Uplink("127.0.0.1", server.sockets[0].getsockname()[1])
    await link.start()
    yield link
    await link.close()
    server.close()


async def _said(uplink: Uplink, text: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", uplink.port)
    try:
        writer.write(text)
        return await soon(reader.read(100))
    except ConnectionError:
        return b""
    finally:
        writer.transport.abort()


async def test_it_relays_while_open(uplink: Uplink) -> None:
    assert await _said(uplink, b"hello") == b"hello"


async def test_nothing_passes_while_shut_and_all_is_well_after(uplink: Uplink) -> None:
    uplink.shut()
    assert not uplink.is_open
    assert await _said(uplink, b"hello") == b""
    uplink.reopen()
    assert await _said(uplink, b"again") == b"again"


async def test_shutting_cuts_what_is_connected(uplink: Uplink) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", uplink.port)
    writer.write(b"x")
    assert await soon(reader.read(1)) == b"x"
    uplink.shut()
    try:
        assert await soon(reader.read(1)) == b""
    except ConnectionResetError:
        pass
    writer.transport.abort()
