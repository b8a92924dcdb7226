"""What WebSocket and event-stream clients are told: events with resumption, summaries, channels. Over real sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from hubqueue.client.local import LocalHub
from hubqueue.hub import replay
from hubqueue.hub.settings import HubSettings
from hubqueue.model.access import Scope
from hubqueue.model.job import NewJob
from hubqueue.servers.connected import MAX_UNSENT_EVENT_BYTES
from hubqueue.servers.http.requestcontext import CONTEXT
from hubqueue.servers.http.server import HttpServer
from hubqueue.servers.http.settings import HttpSettings
from hubqueue.servers.http.sse import streams
from hubqueue.servers.http.ws import Client, websocket
from hubqueue.servers.settings import TcpSettings
from hubqueue.servers.tcp import TcpServer
from support.context import context_of
from support.waiting import in_time, until
from support.websocket import WsClient
from support.wire import WireClient

Connect = Callable[[], Awaitable[WsClient]]
ONE = msgspec.msgpack.encode(1)


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[LocalHub]:
    hub = await LocalHub.open(tmp_path / "hub.db", HubSettings(grace_s=0.3))
    yield hub
    await hub.close()


@pytest.fixture
def heartbeat_s() -> float:
    return 0.5


@pytest.fixture
async def server(hub: LocalHub, heartbeat_s: float) -> AsyncIterator[HttpServer]:
    settings = HttpSettings(port=0, drain_s=0.5, heartbeat_s=heartbeat_s)
    server = HttpServer(context_of(hub), settings, [websocket, streams])
    await server.start()
    yield server
    await server.close()


@pytest.fixture
async def http(server: HttpServer) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(f"http://127.0.0.1:{server.port}") as session:
        yield session


@pytest.fixture
async def connect(http: aiohttp.ClientSession) -> AsyncIterator[Connect]:
    clients: list[WsClient] = []

    async def open_one() -> WsClient:
        clients.append(WsClient(await http.ws_connect("/api/v1/ws", max_msg_size=0)))
        return clients[-1]

    yield open_one
    for client in clients:
        await client.close()


@pytest.fixture
async def tcp(hub: LocalHub) -> AsyncIterator[WireClient]:
    server = TcpServer(context_of(hub), TcpSettings(port=0, drain_s=0.5))
    await server.start()
    client = await WireClient.open(server.port)
    yield client
    await client.close()
    await server.close()


async def push(hub: LocalHub, count: int, queue: str = "q") -> list[str]:
    return await hub.enqueue(queue, [NewJob(name="n", data=ONE)] * count)


def event_ids(messages: list[dict[str, Any]]) -> list[str]:
    return [message["event"]["jobId"] for message in messages]


async def test_who_comes_back_gets_exactly_what_it_missed(connect: Connect, hub: LocalHub) -> None:
    first = await connect()
    begun = await first.good("SubscribeEvents", queue="q", kinds=["pushed"])
    ids = await push(hub, 5)
    seen = [await first.read() for _ in range(3)]
    first.abort()
    ids += await push(hub, 20)
    await push(hub, 3, "other")
    second = await connect()
    await second.good(
        "SubscribeEvents", queue="q", kinds=["pushed"], since=seen[-1]["seq"], epoch=begun["epoch"], reqId="s"
    )
    ids += await push(hub, 5)
    seen += [await second.read() for _ in range(len(ids) - 3)]
    assert event_ids(seen) == ids
    numbers = [message["seq"] for message in seen]
    assert numbers == sorted(set(numbers))


async def test_resuming_in_the_middle_of_a_storm_loses_and_doubles_nothing(connect: Connect, hub: LocalHub) -> None:
    client = await connect()
    epoch = (await client.good("SubscribeEvents", queue="q", kinds=["pushed"]))["epoch"]
    ids: list[str] = []

    async def storm() -> None:
        for _ in range(150):
            ids.extend(await push(hub, 2))
            await asyncio.sleep(0.002)

    task = asyncio.create_task(storm())
    seen: list[dict[str, Any]] = []
    while len(seen) < 300:
        seen += [await client.read() for _ in range(min(17, 300 - len(seen)))]
        client.abort()
        client = await connect()
        since = seen[-1]["seq"]
        reply = await client.good("SubscribeEvents", queue="q", kinds=["pushed"], since=since, epoch=epoch)
        assert reply["epoch"] == epoch
    await task
    assert event_ids(seen) == ids


async def test_another_epoch_is_a_gap_and_what_follows_is_told(connect: Connect, hub: LocalHub) -> None:
    client = await connect()
    await client.good("SubscribeEvents", queue="q", since=3, epoch="of a hub before")
    gap = (await client.read())["event"]
    assert (gap["eventType"], gap["missed"]) == ("gap", None)
    (id,) = await push(hub, 1)
    assert event_ids([await client.read()]) == [id]


async def test_more_than_is_kept_is_a_gap_before_what_is_left(
    connect: Connect, hub: LocalHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "MAX_EVENTS", 10)
    client = await connect()
    epoch = (await client.good("SubscribeEvents", queue="q"))["epoch"]
    client.abort()
    ids = await push(hub, 30)
    client = await connect()
    await client.good("SubscribeEvents", queue="q", since=0, epoch=epoch)
    assert (await client.read())["event"]["eventType"] == "gap"
    assert event_ids([await client.read() for _ in range(10)]) == ids[-10:]


async def test_nothing_is_kept_once_nobody_followed_for_a_while(
    connect: Connect, hub: LocalHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replay, "KEPT_S", 0.05)
    client = await connect()
    epoch = (await client.good("SubscribeEvents", queue="q"))["epoch"]
    await push(hub, 3)
    client.abort()
    await until(lambda: not hub.store.tx.watched("q"))
    assert not hub.recent._kept
    client = await connect()
    await client.good("SubscribeEvents", queue="q", since=0, epoch=epoch)
    assert (await client.read())["event"]["eventType"] == "gap"


async def test_an_event_of_two_subscriptions_is_told_once(connect: Connect, hub: LocalHub) -> None:
    client = await connect()
    await client.good("SubscribeEvents", queue="*")
    await client.good("SubscribeEvents", queue="q", add=True)
    ids = await push(hub, 3)
    assert event_ids([await client.read() for _ in range(3)]) == ids
    await client.good("Ping")


@pytest.fixture
async def deaf(server: HttpServer, hub: LocalHub) -> AsyncIterator[Client]:
    """The hub's side of a client that has asked for what is completed, and reads nothing."""
    loop = asyncio.get_running_loop()
    with socket.socket() as there:
        there.setblocking(False)
        await loop.sock_connect(there, ("127.0.0.1", server.port))
        await loop.sock_sendall(
            there,
            b"GET /api/v1/ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            + masked(b'{"cmd": "SubscribeEvents", "queue": "q", "kinds": ["completed"]}'),
        )
        await until(lambda: hub.store.tx.watched("q"))
        (group,) = server.app[CONTEXT].broadcasts._broadcasts.values()
        (client,) = group.subscribers
        assert isinstance(client, Client)
        yield client


@pytest.mark.parametrize("heartbeat_s", [60.0])
async def test_a_slow_client_misses_events_is_told_of_it_and_holds_nobody_up(deaf: Client, connect: Connect) -> None:
    worker = await connect()
    for _ in range(12):
        await worker.good("PUSH", queue="q", name="n", data=1)
        pulled = await worker.good("PULL", queue="q", owner="w")
        await worker.good("ACK", id=pulled["job"]["id"], token=pulled["token"], result="x" * 1_000_000)
    assert deaf._missed > 0
    assert deaf._unsent + len(deaf._out) < MAX_UNSENT_EVENT_BYTES + 2_000_000


async def test_a_client_that_answers_no_ping_is_cut(deaf: Client) -> None:
    await until(lambda: deaf._transport is None)


def masked(body: bytes) -> bytes:
    """A text frame as clients send it; the mask of zeros leaves the body as it is."""
    head = bytes((0x81, 0x80 | len(body))) if len(body) < 126 else b"\x81\xfe" + len(body).to_bytes(2, "big")
    return head + bytes(4) + body


async def test_summaries_begin_with_the_state_and_follow_every_change(connect: Connect, hub: LocalHub) -> None:
    await push(hub, 2, "a")
    client = await connect()
    await client.good("SubscribeSummaries")
    first = await client.read()
    (state,) = first["queues"]
    assert (first["type"], state["queue"], state["waiting"], state["paused"]) == ("summaries", "a", 2, False)
    assert state["oldestAt"] == pytest.approx(first["timestamp"], abs=10_000)
    await hub.pause("a")
    await push(hub, 3, "b")
    states = await summed(client, lambda states: len(states) == 2 and states["a"]["paused"])
    assert (states["b"]["waiting"], states["b"]["deltas"]["enqueued"]) == (3, 3)
    assert states["b"]["rates"]["enqueued"] == pytest.approx(0.3)
    await hub.obliterate("b")
    async with in_time():
        while (await client.read())["gone"] != ["b"]:
            pass


async def summed(client: WsClient, enough: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The newest state of each queue, once there is enough."""
    states: dict[str, Any] = {}
    async with in_time():
        while not enough(states):
            states |= {state["queue"]: state for state in (await client.read())["queues"]}
    return states


async def test_summaries_come_at_most_once_a_second_and_not_without_a_change(connect: Connect, hub: LocalHub) -> None:
    client = await connect()
    await push(hub, 1)
    await client.good("SubscribeSummaries", queue="q")
    times = []
    for _ in range(3):
        times.append((await client.read())["timestamp"])
        for _ in range(5):
            await push(hub, 1)
    assert times[2] - times[1] > 800
    await client.good("UnsubscribeSummaries", queue="q")
    assert not hub.summaries.watching


async def test_watchers_of_summaries_hear_of_links_and_of_no_other_events(connect: Connect, hub: LocalHub) -> None:
    client, other = await connect(), await connect()
    await client.good("SubscribeSummaries")
    await other.good("SubscribeSummaries", queue="elsewhere")
    hub.tell("forwarded", "q", "1")
    hub.tell("forwarder:link", "q", "", error="refused", data=ONE)
    hub.tell("forwarder:link", "elsewhere", "", data=ONE)
    elsewhere = asyncio.create_task(other.read())  # side by side: who reads nothing answers no ping
    heard = [(await client.read())["event"] for _ in range(2)]
    assert [(event["eventType"], event["queue"]) for event in heard] == [
        ("forwarder:link", "q"),
        ("forwarder:link", "elsewhere"),
    ]
    assert (await elsewhere)["event"]["queue"] == "elsewhere"


async def test_a_client_of_events_and_summaries_hears_of_a_link_once(connect: Connect, hub: LocalHub) -> None:
    client = await connect()
    await client.good("SubscribeSummaries")
    await client.good("SubscribeEvents", queue="*")
    hub.tell("forwarder:link", "q", "", data=ONE)
    assert (await client.read())["seq"] == 1
    await push(hub, 1)
    told = [await client.read() for _ in range(2)]
    assert sorted(message["type"] for message in told) == ["event", "summaries"]
    assert [message["event"]["eventType"] for message in told if message["type"] == "event"] == ["pushed"]


async def test_a_channel_joins_websocket_tcp_and_streams(
    connect: Connect, tcp: WireClient, http: aiohttp.ClientSession, hub: LocalHub
) -> None:
    client = await connect()
    await client.good("SubscribeChannel", channel="doors")
    await tcp.good("SubscribeChannel", channel="*")
    async with http.get("/api/v1/channels/doors/events") as stream:
        assert stream.content_type == "text/event-stream"
        assert (await client.good("Ping"))["data"]["pong"]
        assert (await hub_publish(hub, {"open": [1, None]})) == 3
        expected = {"type": "message", "channel": "doors", "data": {"open": [1, None]}}
        for message in (await client.read(), await tcp.read()):
            assert isinstance(message.pop("timestamp"), float)
            assert message == expected
        told = await sse(stream)
        assert told["data"]["data"] == {"open": [1, None]}
    await until(lambda: len(hub.channels._listeners.get("doors", ())) == 1)


async def hub_publish(hub: LocalHub, value: object) -> int:
    return hub.channels.publish("doors", msgspec.msgpack.encode(value))


async def sse(stream: aiohttp.ClientResponse) -> dict[str, Any]:
    """The next event of a stream: its id, event and data."""
    found: dict[str, Any] = {}
    async with in_time():
        async for raw in stream.content:
            line = raw.decode().rstrip("\n")
            if not line and "data" in found:
                return found
            name, _, value = line.partition(": ")
            if name == "data":
                found["data"] = msgspec.json.decode(value)
            elif name in ("id", "event"):
                found[name] = value
    raise AssertionError("the stream ended")


async def test_a_stream_goes_on_where_it_broke_off(http: aiohttp.ClientSession, hub: LocalHub) -> None:
    async with http.get("/api/v1/events", params={"queue": "q", "kinds": "pushed,paused"}) as stream:
        (first,) = await push(hub, 1)
        told = await sse(stream)
        assert (told["event"], told["data"]["jobId"]) == ("pushed", first)
    ids = await push(hub, 3)
    headers = {"Last-Event-ID": told["id"]}
    async with http.get("/api/v1/events", params={"queue": "q", "kinds": "pushed"}, headers=headers) as stream:
        assert [(await sse(stream))["data"]["jobId"] for _ in range(3)] == ids
    async with http.get("/api/v1/events", headers={"Last-Event-ID": "nonsense"}) as stream:
        assert (await sse(stream))["event"] == "gap"


async def test_a_quiet_stream_shows_that_it_lives(http: aiohttp.ClientSession) -> None:
    async with http.get("/api/v1/events") as stream, in_time():
        while (await stream.content.readline()).strip() != b": still here":
            pass


async def test_a_stream_of_what_cannot_be_is_refused(http: aiohttp.ClientSession) -> None:
    async with http.get("/api/v1/channels/a%20b/events") as answer:
        assert answer.status == 422
        assert (await answer.json(content_type=None))["code"] == "invalid"
    async with http.get("/api/v1/events", params={"queue": "a b"}) as answer:
        assert answer.status == 422


async def test_streams_end_when_the_hub_stops(http: aiohttp.ClientSession, server: HttpServer) -> None:
    async with http.get("/api/v1/events") as stream:
        await stream.content.readline()
        async with in_time():
            await server.close()
            assert b"data" not in await stream.content.read()


async def test_a_limited_token_listens_to_its_queues_only(tmp_path: Path) -> None:
    async with await LocalHub.open(tmp_path / "limited.db") as hub:
        await hub.run(lambda tx: hub.access.add(tx, "all", (Scope.ADMIN,), None))
        secret = await hub.run(lambda tx: hub.access.add(tx, "few", (Scope.READ,), frozenset({"mine"})))
        server = HttpServer(context_of(hub), HttpSettings(port=0, drain_s=0.5), [websocket])
        await server.start()
        headers = {"Authorization": f"Bearer {secret}"}
        async with aiohttp.ClientSession(f"http://127.0.0.1:{server.port}", headers=headers) as http:
            client = WsClient(await http.ws_connect("/api/v1/ws"))
            for cmd in ("SubscribeEvents", "SubscribeSummaries"):
                assert (await client.call(cmd, queue="theirs"))["code"] == "forbidden"
            for refused in ({"cmd": "SubscribeChannel", "channel": "c"}, {"cmd": "Publish", "channel": "c"}):
                assert (await client.call(**refused))["code"] == "forbidden"
            await client.good("SubscribeEvents", queue="*")
            await client.good("SubscribeSummaries")
            await push(hub, 1, "theirs")
            ids = await push(hub, 1, "mine")
            assert event_ids([await client.read()]) == ids
            summary = await client.read()
            assert [state["queue"] for state in summary["queues"]] == ["mine"]
            await hub.run(lambda tx: hub.access.revoke(tx, "few"))
            await client.ended()
            await client.close()
            await until(lambda: not hub.recent._topics["mine"].followers)
        await server.close()
