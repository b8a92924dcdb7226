"""The WebSocket: everything the TCP door says, in JSON or MessagePack, and what only a WebSocket has."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from hubqueue.commands.call import Operation
from hubqueue.hub.hub import Hub
from hubqueue.hub.settings import HubSettings
from hubqueue.servers.http.server import HttpServer
from hubqueue.servers.http.settings import HttpSettings
from hubqueue.servers.http.ws import NOT_AUTHENTICATED, websocket
from support.context import context_of
from support.transcript import check, lines, to_send
from support.waiting import in_time, until
from support.websocket import WsClient

CONTRACT = Path(__file__).parents[3] / "contract"
TRANSCRIPTS = sorted(CONTRACT.glob("*.jsonl"))
MB = 1024 * 1024

Connect = Callable[..., Awaitable[WsClient]]


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    hub = await Hub.open(tmp_path / "hub.db", HubSettings(grace_s=0.3))
    yield hub
    await hub.close()


@pytest.fixture
def tokens() -> tuple[str, ...]:
    return ()


@pytest.fixture
def settings() -> HttpSettings:
    return HttpSettings(port=0, drain_s=0.5, heartbeat_s=20)


@pytest.fixture
def operations() -> dict[str, Operation]:
    return {}


@pytest.fixture
async def server(
    hub: Hub, tokens: tuple[str, ...], settings: HttpSettings, operations: dict[str, Operation]
) -> AsyncIterator[HttpServer]:
    context = context_of(hub, tokens, version="1.2.3", operations=operations)
    server = HttpServer(context, settings, [websocket])
    await server.start()
    yield server
    await server.close()


@pytest.fixture
async def connect(server: HttpServer) -> AsyncIterator[Connect]:
    clients: list[WsClient] = []
    async with aiohttp.ClientSession() as http:

        async def open_one(**more: Any) -> WsClient:
            url = f"ws://127.0.0.1:{server.port}/api/v1/ws"
            clients.append(WsClient(await http.ws_connect(url, max_msg_size=0, **more)))
            return clients[-1]

        yield open_one
        for client in clients:
            await client.close()


@pytest.fixture
async def client(connect: Connect) -> WsClient:
    return await connect()


def as_text(message: object) -> str | None:
    """The message as JSON, None where JSON cannot carry it."""
    try:
        text = msgspec.json.encode(message, enc_hook=_refuse)
    except (TypeError, NotImplementedError):
        return None
    return None if message != msgspec.json.decode(text) else text.decode()


def _refuse(value: object) -> object:
    raise NotImplementedError


@pytest.mark.parametrize("binary", [False, True], ids=["json", "msgpack"])
@pytest.mark.parametrize("path", TRANSCRIPTS, ids=lambda path: path.stem)
async def test_a_transcript_of_tcp_is_answered_alike(path: Path, client: WsClient, *, binary: bool) -> None:
    known: dict[str, Any] = {}
    carried = 0
    transcript = lines(path)
    for number, line in enumerate(transcript, 1):
        if "send" in line:
            message = to_send(line["send"], known)
            odd = '"$bytes"' in json.dumps(transcript[number : number + 1])  # the answer is more than JSON can say
            text = None if binary or odd else as_text(message)
            if text is None:
                await client.socket.send_bytes(msgspec.msgpack.encode(message))
            else:
                carried += 1
                await client.socket.send_str(text)
        elif "expect" in line:
            check(line["expect"], await client.read(), known, f"{path.name}:{number} $")
    assert binary or carried > 0


async def test_commands_are_done_in_the_order_they_came(client: WsClient) -> None:
    for number in range(300):
        await client.send({"cmd": "PUSH", "reqId": number, "queue": "q", "name": "n", "data": number})
    await client.send({"cmd": "Count", "reqId": "c", "queue": "q"})
    for number in range(300):
        assert (await client.read())["reqId"] == number
    assert await client.read() == {"ok": True, "reqId": "c", "count": 300}


async def test_a_long_poll_holds_nothing_back_and_is_answered_when_there_is_a_job(client: WsClient) -> None:
    await client.send({"cmd": "PULL", "reqId": "w", "queue": "q", "owner": "w", "timeout": 20_000})
    assert (await client.good("Ping", reqId="p"))["reqId"] == "p"
    await client.send({"cmd": "PUSH", "reqId": "j", "queue": "q", "name": "n", "data": {"a": [1, None]}})
    replies = {reply["reqId"]: reply for reply in [await client.read(), await client.read()]}
    assert replies["w"]["job"]["id"] == replies["j"]["id"]
    assert replies["w"]["job"]["data"] == {"a": [1, None]}


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "7", '"PUSH"', "{}", '{"cmd": 5}', '{"cmd": "PUSH", "data": NaN}', "\ufeff{}"]
)
async def test_nonsense_is_answered_and_the_connection_goes_on(client: WsClient, text: str) -> None:
    await client.socket.send_str(text)
    reply = await client.read()
    assert reply["ok"] is False
    assert reply["code"] in ("invalid", "unknown_command")
    await client.good("Ping")


async def test_odd_stored_data_leaves_as_json_that_marks_it(client: WsClient) -> None:
    odd = {"b": b"\x00\xff", "nan": float("nan"), "big": 2**63, 5: "int key", "ext": msgspec.msgpack.Ext(9, b"x")}
    await client.socket.send_bytes(msgspec.msgpack.encode({"cmd": "PUSH", "queue": "q", "name": "n", "data": odd}))
    id = (await client.read())["id"]
    bad = b"\x83\xa3cmd\xa4PUSH\xa5queue\xa1q\xa4name\xa1n"  # data is text that is not UTF-8
    await client.socket.send_bytes(b"\x84" + bad[1:] + b"\xa4data\xa2\xff\xfe")
    broken = (await client.read())["id"]
    job = (await client.good("GetJob", id=id))["job"]
    assert job["data"] == {
        "b": {"$bytes": "AP8="},
        "nan": "NaN",
        "big": str(2**63),
        "5": "int key",
        "ext": {"$ext": 9, "$bytes": "eA=="},
    }
    assert (await client.good("GetJob", id=broken))["job"]["data"] == {"$bytes": "ov/+"}


async def test_a_message_that_is_too_large_is_refused_with_a_reason(client: WsClient) -> None:
    await client.socket.send_str('{"cmd": "PUSH", "queue": "q", "name": "n", "data": "' + "x" * (17 * MB) + '"}')
    reply = await client.read()
    assert (reply["ok"], reply["code"]) == (False, "payload_too_large")
    await client.good("Ping")


async def test_a_message_beyond_all_bounds_ends_the_connection(client: WsClient) -> None:
    with contextlib.suppress(aiohttp.ClientError, ConnectionError):
        await client.socket.send_bytes(bytes(65 * MB))
    assert await client.ended() in (aiohttp.WSCloseCode.MESSAGE_TOO_BIG, aiohttp.WSCloseCode.ABNORMAL_CLOSURE)


async def test_a_large_job_goes_both_ways(client: WsClient) -> None:
    data = "x" * (9 * MB)
    id = (await client.good("PUSH", queue="q", name="n", data=data))["id"]
    assert (await client.good("GetJob", id=id))["job"]["data"] == data


async def test_leases_of_a_broken_connection_last_for_the_grace_and_are_counted(connect: Connect) -> None:
    worker, client = await connect(), await connect()
    await client.good("PUSH", queue="q", name="n", data=1)
    await worker.good("PULL", queue="q", owner="w")
    worker.abort()
    job = (await client.good("PULL", queue="q", owner="v", timeout=5000))["job"]
    assert job["lostCount"] == 1


async def test_a_clean_close_gives_jobs_back_at_once_and_counts_nothing(connect: Connect) -> None:
    worker, client = await connect(), await connect()
    await client.good("PUSH", queue="q", name="n", data=1)
    await worker.good("PULL", queue="q", owner="w")
    await worker.socket.close()
    job = (await client.good("PULL", queue="q", owner="v", timeout=5000))["job"]
    assert job["lostCount"] == 0


async def test_a_long_poll_of_a_client_that_left_takes_no_job(connect: Connect, hub: Hub) -> None:
    gone, client = await connect(), await connect()
    await gone.send({"cmd": "PULL", "queue": "q", "owner": "w", "timeout": 60_000})
    await until(lambda: "q" in hub._waiters.parked)
    gone.abort()
    await until(lambda: "q" not in hub._waiters.parked)
    await client.good("PUSH", queue="q", name="n", data=1)
    assert (await client.good("PULL", queue="q", owner="v"))["job"] is not None


async def test_a_stopping_hub_says_so_and_gives_jobs_back(connect: Connect, server: HttpServer, hub: Hub) -> None:
    worker = await connect()
    id = (await worker.good("PUSH", queue="q", name="n", data=1))["id"]
    await worker.good("PULL", queue="q", owner="w")
    closing = asyncio.create_task(server.close())
    assert await worker.ended() == aiohttp.WSCloseCode.GOING_AWAY
    await closing
    job = await hub.get(id)
    assert (job.state, job.lost_count) == (0, 0)


async def test_too_many_clients_are_turned_away(hub: Hub) -> None:
    few = HttpSettings(port=0, drain_s=0.5, max_connections=2)
    server = HttpServer(context_of(hub), few, [websocket])
    await server.start()
    url = f"ws://127.0.0.1:{server.port}/api/v1/ws"
    async with aiohttp.ClientSession() as http:
        kept = [WsClient(await http.ws_connect(url)) for _ in range(2)]
        for each in kept:
            await each.good("Ping")
        with pytest.raises(aiohttp.WSServerHandshakeError) as turned:
            await http.ws_connect(url)
        assert turned.value.status == 503
        await kept[0].good("Ping")
        for each in kept:
            await each.close()
    await server.close()


class TestTokens:
    @pytest.fixture
    def tokens(self) -> tuple[str, ...]:
        return ("secret",)

    @pytest.fixture
    def settings(self) -> HttpSettings:
        return HttpSettings(port=0, drain_s=0.5, auth_s=0.5)

    async def test_the_first_message_may_show_the_token(self, connect: Connect) -> None:
        client = await connect()
        assert (await client.call("Ping"))["code"] == "not_authenticated"
        assert (await client.call("Auth", token="wrong"))["code"] == "not_authenticated"
        await client.good("Auth", token="secret")
        await client.good("Ping")

    async def test_a_header_may_show_it_too(self, connect: Connect) -> None:
        client = await connect(headers={"Authorization": "Bearer secret"})
        await client.good("Ping")

    async def test_a_wrong_token_in_the_header_gets_no_connection(self, connect: Connect) -> None:
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await connect(headers={"Authorization": "Bearer wrong"})
        assert refused.value.status == 401

    async def test_who_shows_none_is_closed_in_time(self, connect: Connect) -> None:
        client = await connect()
        assert await client.ended() == NOT_AUTHENTICATED

    async def test_who_has_shown_one_is_not(self, connect: Connect) -> None:
        client = await connect()
        await client.good("Auth", token="secret")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.socket.receive(), 1.0)
        await client.good("Ping")


class TestHeartbeat:
    @pytest.fixture
    def settings(self) -> HttpSettings:
        return HttpSettings(port=0, drain_s=0.5, heartbeat_s=0.4)

    @pytest.fixture
    def go_on(self) -> asyncio.Event:
        """Until it is set, the command CheckFile is under way."""
        return asyncio.Event()

    @pytest.fixture
    def operations(self, go_on: asyncio.Event) -> dict[str, Operation]:
        async def check_file(command: Any) -> dict[str, Any]:
            await go_on.wait()
            return {}

        return {"CheckFile": check_file}

    async def test_a_half_open_peer_is_cut(self, server: HttpServer, connect: Connect) -> None:
        loop = asyncio.get_running_loop()
        peer = socket.socket()
        peer.setblocking(False)
        await loop.sock_connect(peer, ("127.0.0.1", server.port))
        await loop.sock_sendall(
            peer,
            b"GET /api/v1/ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
        )
        async with in_time():
            received = b"-"
            while received:  # it takes what comes and answers no ping
                try:
                    received = await loop.sock_recv(peer, 65536)
                except ConnectionError:
                    break
        peer.close()

    async def test_a_client_that_answers_pings_stays(self, connect: Connect) -> None:
        client = await connect()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.socket.receive(), 1.5)
        await client.good("Ping")

    async def test_a_client_that_pipelines_behind_a_long_command_is_not_cut(
        self, connect: Connect, go_on: asyncio.Event
    ) -> None:
        client = await connect()
        await client.send({"cmd": "CheckFile", "reqId": "d"})
        for number in range(40):  # more than is read ahead
            await client.send({"cmd": "Ping", "reqId": number, "pad": "x" * 60_000})
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.socket.receive(), 1.5)
        go_on.set()
        assert (await client.read())["reqId"] == "d"
        for number in range(40):
            assert (await client.read())["reqId"] == number

    async def test_a_ping_behind_a_waiting_command_is_answered(self, connect: Connect, go_on: asyncio.Event) -> None:
        client = await connect(autoping=False)
        await client.send({"cmd": "CheckFile"})
        await client.send({"cmd": "Ping"})
        await client.socket.ping(b"there?")
        async with in_time():
            while (await client.socket.receive()).type is not aiohttp.WSMsgType.PONG:
                pass
        go_on.set()

    async def test_a_ping_of_the_client_is_answered(self, connect: Connect) -> None:
        client = await connect(autoping=False)
        await client.socket.ping(b"there?")
        async with in_time():
            while True:
                message = await client.socket.receive()
                if message.type is aiohttp.WSMsgType.PONG:
                    assert message.data == b"there?"
                    break


async def test_data_that_grows_too_large_on_its_way_from_json_is_refused(connect: Connect) -> None:
    """A float is half as long in JSON as it is stored."""
    client, long = await connect(), [0.5] * 1_200_000
    for refused in (
        await client.call("PUSH", queue="q", name="n", data=long),
        await client.call("PUSHB", queue="q", jobs=[{"name": "n", "data": long}]),
    ):
        assert refused["code"] == "payload_too_large", refused
    id = (await client.good("PUSH", queue="q", name="n", data=1))["id"]
    token = (await client.good("PULL", queue="q", owner="w"))["token"]
    assert (await client.call("ACK", id=id, token=token, result=long))["code"] == "payload_too_large"
    await client.good("ACK", id=id, token=token, result=1)
