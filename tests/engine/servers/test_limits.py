"""What a client may not do: frames that are nonsense, too large, too deep or never end; too much at a time."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import msgspec
import pytest

from hubqueue.hub.hub import Hub
from hubqueue.servers.connected import MAX_UNSENT_EVENT_BYTES
from hubqueue.servers.settings import TcpSettings
from hubqueue.servers.tcp import TcpServer
from support.context import context_of
from support.tcp import Connect
from support.waiting import until
from support.wire import WireClient, frame

BAD_FORMAT = {"ok": False, "error": "Invalid command format", "code": "invalid", "retryable": False}


@pytest.fixture
async def hurried(hub: Hub) -> AsyncIterator[TcpServer]:
    """A server that waits for nobody, with room for two."""
    server = TcpServer(context_of(hub), TcpSettings(port=0, partial_frame_s=0.2, max_connections=2, drain_s=0.1))
    await server.start()
    yield server
    await server.close()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xc1",
        b"\x81\xa3cmd",
        b"\x82\xa3cmd\xa4Ping\xa5extra\xc1",
        b"\x81\xa3cmd\xa4Ping\x00",
        b"\x81\x01\x02",
        b"\x82\xa3cmd\xa4Ping\xa5reqId\xa2\xff\xfe"[:-2],
        b"\x82\xa3cmd\xa3ACK\xa2id\xa2\xff\xfe",
        b"\xdf\xff\xff\xff\xff\xa3cmd\xa4Ping",
        b"\x83\xa3cmd\xa4PUSH\xa5queue\xa1q\xa4data" + b"\x91" * 200_000 + b"\xc0",
        b"\x83\xa3cmd\xa5PUSHB\xa5queue\xa1q\xa4jobs\xdd\xff\xff\xff\xff",
    ],
    ids=[
        "empty",
        "reserved byte",
        "truncated",
        "bad value",
        "trailing byte",
        "key that is no text",
        "truncated reqId",
        "bad UTF-8",
        "four billion keys",
        "200,000 levels of data",
        "four billion jobs",
    ],
)
async def test_nonsense_is_answered_and_the_connection_goes_on(client: WireClient, body: bytes) -> None:
    await client.send_bytes(frame(body))
    assert await client.read() == BAD_FORMAT
    await client.good("Ping")


async def test_a_command_of_100_000_levels_is_answered_and_the_connection_goes_on(client: WireClient) -> None:
    await client.send_bytes(frame(b"\x81\xa3cmd" + b"\x91" * 100_000 + b"\xc0"))
    answer = await client.read()
    # Python 3.14 bounds recursion by the stack that is left, not by depth: there it is read, and no command's name
    assert (answer["ok"], answer["code"]) in {(False, "invalid"), (False, "unknown_command")}
    await client.good("Ping")


async def test_a_frame_beyond_64_mib_is_refused_by_its_header(client: WireClient) -> None:
    await client.send_bytes((64 * 1024 * 1024 + 1).to_bytes(4, "big"))
    reply = await client.read()
    assert reply["error"] == "Frame too large: 67108865 bytes exceeds maximum 67108864"
    assert "reqId" not in reply
    assert await client.ended() == b""


async def test_commands_before_an_oversized_frame_are_answered(client: WireClient) -> None:
    ping = frame(msgspec.msgpack.encode({"cmd": "Ping", "reqId": "1"}))
    await client.send_bytes(ping + b"\xff\xff\xff\xff" + ping)
    assert (await client.read())["reqId"] == "1"
    assert (await client.read())["error"].startswith("Frame too large")
    assert await client.ended() == b""


async def test_a_frame_that_never_ends_is_cut(hurried: TcpServer) -> None:
    client = await WireClient.open(hurried.port)
    await client.send_bytes(frame(b"x" * 100)[:50])
    with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
        await client.read()
    await client.close()


async def test_an_idle_connection_is_not_cut(hurried: TcpServer) -> None:
    client = await WireClient.open(hurried.port)
    await client.good("Ping")
    other = await WireClient.open(hurried.port)
    await other.send_bytes(b"\x00")
    with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
        await other.read()  # cut, so more time than a frame may take has passed
    await client.good("Ping")
    await client.close()
    await other.close()


async def test_one_connection_too_many_is_told_so(hurried: TcpServer) -> None:
    first, second = await WireClient.open(hurried.port), await WireClient.open(hurried.port)
    await first.good("Ping")
    await second.good("Ping")
    third = await WireClient.open(hurried.port)
    assert (await third.read())["code"] == "busy"
    assert await third.ended() == b""
    await first.close()
    await third.close()
    await second.good("Ping")
    await second.close()


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"queue": "q" * 257}, "Queue name too long (max 256 characters)"),
        ({"queue": 5}, "Queue name is required"),
        ({"queue": "ü"}, "Queue name contains invalid characters"),
        ({"name": "n" * 300}, "Job name must be a non-empty string of at most 256 characters"),
        ({"priority": 2**63}, "priority must be at most 1000000"),
        ({"priority": 1.5}, "priority must be an integer"),
        ({"priority": "high"}, "priority must be a number"),
        ({"priority": True}, "priority must be a number"),
        ({"delay": float("nan")}, "delay must be a finite number"),
        ({"delay": float("inf")}, "delay must be a finite number"),
        ({"delay": -1}, "delay must be at least 0"),
        ({"delay": 2**64 - 1}, "delay must be at most 31536000000"),
        ({"maxAttempts": 0}, "maxAttempts must be at least 1"),
        ({"timeout": 1e300}, "timeout must be a number"),
        ({"backoff": {"type": "fixed"}}, "backoff.delay is required"),
        ({"backoff": float("nan")}, "backoff must be a finite number"),
        ({"jobId": "x" * 1025}, "jobId must be at most 1024 characters"),
        ({"tags": [1]}, "tags must be an array of strings of at most 256 characters"),
        ({"durable": "yes"}, "durable must be a boolean"),
        ({"dedup": 5, "uniqueKey": "k"}, "dedup must be an object"),
        ({"groupId": "g" * 257}, "groupId must be at most 256 characters"),
        ({"groupId": "g", "groupMaxSize": "5"}, "group.maxSize must be a positive safe integer"),
        ({"dependsOn": 5}, "dependsOn must be an array"),
        ({"data": b"\0" * (10 * 1024 * 1024 + 1)}, "Job data too large (max 10MB)"),
        ({"data": b"\0" * (10 * 1024 * 1024 + 1), "durable": True}, "Job data too large (max 10MB)"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
async def test_a_bad_option_is_named(client: WireClient, fields: dict[str, object], error: str) -> None:
    reply = await client.call("PUSH", **{"queue": "q", "name": "n", "data": 1, **fields})
    assert reply["ok"] is False
    assert reply["error"] == error
    batch = {"queue": fields.get("queue", "q"), "jobs": [{"name": "n", "data": 1}, {"name": "n", "data": 1, **fields}]}
    if not {"queue", "jobId"} & set(fields):
        reply = await client.call("PUSHB", **batch)
        assert reply["error"] == f"jobs[1]: {error}"
    assert (await client.good("Count", queue="q"))["count"] == 0


async def test_unknown_options_are_ignored(client: WireClient) -> None:
    reply = await client.good("PUSH", queue="q", name="n", data=1, keepLogs=5, unheardOf={"a": [1]}, debounceTtl=3)
    assert (await client.good("GetState", id=reply["id"]))["state"] == "waiting"


async def test_what_javascript_means_by_nothing_is_nothing(client: WireClient) -> None:
    undefined = msgspec.msgpack.Ext(0, b"\0")
    reply = await client.good(
        "PUSH", queue="q", name="n", data=undefined, priority=undefined, delay=None, backoff=None, dedup={"ttl": None}
    )
    job = (await client.good("GetJob", id=reply["id"]))["job"]
    assert "data" not in job
    assert job["priority"] == 0


async def test_user_data_comes_back_byte_for_byte(client: WireClient) -> None:
    encode = msgspec.msgpack.encode
    odd = (
        b"\x85\x01\xc3\xc2\xcb\x7f\xf8\x00\x00\x00\x00\x00\x00\xa0"
        b"\xd3\x80\x00\x00\x00\x00\x00\x00\x00\xa1x\xd4\x05\x00\xa1y\xd4\x00\x00"
    )
    body = b"\x84\xa3cmd" + encode("PUSH") + b"\xa5queue\xa1q\xa4name\xa1n\xa4data" + odd
    await client.send_bytes(frame(body))
    await client.read()
    await client.send({"cmd": "PULL", "queue": "q"})
    assert odd in await client.read_bytes()


async def test_a_batch_of_too_many_jobs_is_refused(client: WireClient) -> None:
    reply = await client.call("PUSHB", queue="q", jobs=[{"name": "n", "data": 1}] * 10_001)
    assert reply["error"] == "jobs must hold at most 10000 entries"
    reply = await client.call("PULLB", queue="q", owner="w", count=1001)
    assert reply["error"] == "count must be at most 1000"
    reply = await client.call("ACKB", ids=["x"] * 1001)
    assert reply["code"] == "invalid"


async def test_requests_beyond_the_bound_wait_and_are_all_answered(client: WireClient) -> None:
    """Far more than 4 MiB of requests in one go."""
    request = frame(msgspec.msgpack.encode({"cmd": "PUSH", "queue": "q", "name": "n", "data": b"x" * 100_000}))
    sending = asyncio.create_task(client.send_bytes(request * 200))
    for _ in range(200):
        assert (await client.read())["ok"]
    await sending
    assert (await client.good("Count", queue="q"))["count"] == 200


async def test_a_client_that_does_not_read_is_not_read_either(client: WireClient, hub: Hub) -> None:
    """Its requests stay in its own buffers: the hub answers no more than it takes."""
    await client.good("PUSHB", queue="q", jobs=[{"name": "n", "data": b"x" * 100_000}] * 20)
    request = frame(msgspec.msgpack.encode({"cmd": "GetJobs", "queue": "q"}))
    sending = asyncio.create_task(client.send_bytes(request * 500))  # 1 GB of replies
    for _ in range(500):
        assert len((await client.read())["jobs"]) == 20
    await sending


async def test_a_page_never_outgrows_a_frame(client: WireClient) -> None:
    for _ in range(8):
        await client.good("PUSH", queue="q", name="n", data=b"x" * 9_000_000)
    page = await client.good("GetJobs", queue="q")
    assert 0 < len(page["jobs"]) < 8
    rest = await client.good("GetJobs", queue="q", cursor=page["cursor"])
    more = await client.good("GetJobs", queue="q", cursor=rest["cursor"])
    assert len(page["jobs"]) + len(rest["jobs"]) + len(more["jobs"]) == 8


async def test_a_batch_of_large_jobs_fits_into_a_frame(client: WireClient) -> None:
    for _ in range(8):
        await client.good("PUSH", queue="q", name="n", data=b"x" * 9_000_000)
    taken = 0
    while taken < 8:
        reply = await client.good("PULLB", queue="q", owner="w", count=1000)
        assert reply["jobs"]
        taken += len(reply["jobs"])
        await client.good("ACKB", ids=[job["id"] for job in reply["jobs"]], tokens=reply["tokens"])


async def test_a_subscriber_that_does_not_listen_misses_events_and_hurts_nobody(
    connect: Connect, server: TcpServer, hub: Hub
) -> None:
    worker = await connect()
    loop = asyncio.get_running_loop()
    deaf = socket.socket()
    deaf.setblocking(False)
    await loop.sock_connect(deaf, ("127.0.0.1", server.port))
    await loop.sock_sendall(deaf, frame(msgspec.msgpack.encode({"cmd": "SubscribeEvents", "queue": "q"})))
    await until(lambda: hub.store.tx.watched("q"))
    await worker.good("PUSHB", queue="q", jobs=[{"name": "n", "data": 1}] * 100)
    pulled = await worker.good("PULLB", queue="q", owner="w", count=100)
    for job, token in zip(pulled["jobs"], pulled["tokens"], strict=True):
        await worker.good("ACK", id=job["id"], token=token, result=b"x" * 1_000_000)
    (subscriber,) = [each for each in server._connections if each.subscriptions]
    assert subscriber._transport is not None
    held = subscriber._transport.get_write_buffer_size() + len(subscriber._out)
    assert held < MAX_UNSENT_EVENT_BYTES + 2_000_000
    assert (await worker.good("GetJobCounts", queue="q"))["counts"]["completed"] == 100
    deaf.close()
    await until(lambda: server.connections == 1)
    assert hub.recent._topics["q"].followers == 0


async def test_a_hub_with_too_much_to_commit_reads_on_when_it_is_relieved(client: WireClient, hub: Hub) -> None:
    much = 40 * 1024 * 1024
    backlog = hub.store.backlog
    backlog.bytes, backlog.full = backlog.bytes + much, True  # as if other connections had that much under way
    await client.send_bytes(frame(msgspec.msgpack.encode({"cmd": "Ping"})) * 2)
    await client.read()
    ping = asyncio.create_task(client.read())
    await hub.run(lambda tx: None)
    assert not ping.done()
    backlog.bytes -= much
    await hub.run(lambda tx: None)  # any answer looks whether the backlog has shrunk
    assert (await ping)["ok"]
