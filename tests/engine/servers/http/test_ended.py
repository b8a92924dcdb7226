"""What is left of a WebSocket whose client went away without a word: nothing."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path

from hubqueue.hub.hub import Hub
from hubqueue.servers.http.server import HttpServer
from hubqueue.servers.http.settings import HttpSettings
from hubqueue.servers.http.ws import websocket
from hubqueue.servers.http.wsocket import Socket
from support.context import context_of
from support.waiting import until

HANDSHAKE = (
    b"GET /api/v1/ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
PING = b'{"cmd": "Ping"}'


def left() -> int:
    gc.collect()
    return sum(isinstance(each, Socket) for each in gc.get_objects())


async def test_a_client_that_vanishes_leaves_nothing_in_memory(tmp_path: Path) -> None:
    async with await Hub.open(tmp_path / "hub.db") as hub:
        server = HttpServer(context_of(hub), HttpSettings(port=0, drain_s=0.5), [websocket])
        await server.start()
        writers = []
        for _ in range(20):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(HANDSHAKE)
            await reader.readuntil(b"\r\n\r\n")
            writer.write(bytes((0x81, 0x80 | len(PING))) + bytes(4) + PING)
            await reader.read(100)
            writers.append(writer)
        assert left() == 20
        for writer in writers:
            writer.transport.abort()
        await until(lambda: left() == 0)  # aiohttp's heartbeat would keep them for half a minute
        await server.close()
