"""What somebody may send over the WebSocket before a token was shown: 64 KiB in one message, as over TCP."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import aiohttp
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubqueue.hub.hub import Hub
from hubqueue.servers.http.preauth import Meter
from hubqueue.servers.http.server import HttpServer
from hubqueue.servers.http.settings import HttpSettings
from hubqueue.servers.http.ws import NOT_AUTHENTICATED, websocket
from support.context import context_of
from support.waiting import until
from support.websocket import WsClient

MB = 1024 * 1024

Connect = Callable[[], Awaitable[WsClient]]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[HttpServer]:
    async with await Hub.open(tmp_path / "hub.db") as hub:
        server = HttpServer(context_of(hub, ("secret",)), HttpSettings(port=0, drain_s=0.5), [websocket])
        await server.start()
        yield server
        await server.close()


@pytest.fixture
async def connect(server: HttpServer) -> AsyncIterator[Connect]:
    clients: list[WsClient] = []
    async with aiohttp.ClientSession() as http:

        async def open_one() -> WsClient:
            url = f"ws://127.0.0.1:{server.port}/api/v1/ws"
            clients.append(WsClient(await http.ws_connect(url, max_msg_size=0)))
            return clients[-1]

        yield open_one
        for client in clients:
            await client.close()


def frame(body: bytes, *, first: bool = True, last: bool = True) -> bytes:
    """A part of a text message as clients send it; the mask of zeros leaves the body as it is."""
    head = (0x80 if last else 0) | (0x01 if first else 0)
    if len(body) < 126:
        return bytes((head, 0x80 | len(body))) + bytes(4) + body
    if len(body) < 0x10000:
        return bytes((head, 0x80 | 126)) + len(body).to_bytes(2, "big") + bytes(4) + body
    return bytes((head, 0x80 | 127)) + len(body).to_bytes(8, "big") + bytes(4) + body


def in_parts(body: bytes, parts: int) -> list[bytes]:
    """One message in so many frames."""
    size = -(-len(body) // parts)
    return [frame(body[at * size : (at + 1) * size], first=at == 0, last=at == parts - 1) for at in range(parts)]


async def send_in_parts(client: WsClient, body: bytes, parts: int) -> None:
    connection = client.socket._response.connection
    assert connection is not None
    assert connection.transport is not None
    for part in in_parts(body, parts):
        connection.transport.write(part)
        await asyncio.sleep(0)


@settings(max_examples=50)
@given(
    st.lists(
        st.tuples(st.sampled_from([0, 1, 125, 126, 127, 500, 65_535, 65_536, 70_000]), st.integers(1, 3)),
        min_size=1,
        max_size=5,
    ),
    st.integers(1, 70_000),
)
def test_the_longest_message_is_found_however_the_bytes_arrive(messages: list[tuple[int, int]], chunk: int) -> None:
    ping = b"\x89\x80" + bytes(4)
    stream = ping + b"".join(ping.join(in_parts(bytes(length), parts)) for length, parts in messages)
    meter = Meter()
    for at in range(0, len(stream), chunk):
        meter.feed(stream[at : at + chunk])
    assert meter.longest == max(length for length, _ in messages)


def test_a_length_counts_before_its_bytes_come() -> None:
    meter = Meter()
    meter.feed(frame(bytes(100_000))[:10])
    assert meter.longest == 100_000


@pytest.mark.parametrize("parts", [1, 4])
async def test_a_long_message_without_a_token_is_not_kept(connect: Connect, parts: int) -> None:
    client = await connect()
    with contextlib.suppress(ConnectionError):  # it need not be read to its end
        await send_in_parts(client, b"x" * (100 * 1024), parts)
    assert await client.ended() == NOT_AUTHENTICATED


async def test_a_stranger_that_goes_on_sending_after_its_refusal_is_gone_soon(
    server: HttpServer, connect: Connect
) -> None:
    client = await connect()
    with contextlib.suppress(ConnectionError, aiohttp.ClientError):
        await client.socket.send_bytes(bytes(32 * MB))
    await until(lambda: server.connections == 0)


async def test_many_short_messages_need_no_token_to_be_read(connect: Connect) -> None:
    client = await connect()
    for _ in range(20):
        await client.send({"cmd": "Ping", "pad": "x" * 60_000})
    for _ in range(20):
        assert (await client.read())["code"] == "not_authenticated"
    await client.good("Auth", token="secret")


@pytest.mark.parametrize("parts", [1, 4])
async def test_with_a_token_messages_may_be_long(connect: Connect, parts: int) -> None:
    client = await connect()
    await client.good("Auth", token="secret")
    body = msgspec.json.encode({"cmd": "PUSH", "queue": "q", "name": "n", "data": "x" * (3 * MB)})
    await send_in_parts(client, body, parts)
    assert (await client.read())["ok"] is True
