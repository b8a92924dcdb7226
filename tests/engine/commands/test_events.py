"""The stream of events: every kind with its fields, in order, before the reply of the command that caused it."""

from __future__ import annotations

from typing import Any

from hubqueue.servers.connection import Connection
from hubqueue.servers.tcp import TcpServer
from support.tcp import Connect
from support.waiting import in_time
from support.wire import WireClient

NO_FIELDS = {"type", "event", "reqId"}


async def events(client: WireClient, count: int) -> list[dict[str, Any]]:
    """The next messages, which must be events; without what is the same in all of them."""
    found = []
    for _ in range(count):
        message = await client.read()
        assert message["type"] == "event", message
        event = message["event"]
        assert isinstance(event.pop("timestamp"), float)
        assert event.pop("queue") == "q"
        found.append(event)
    return found


async def watch(connect: Connect) -> tuple[WireClient, WireClient]:
    watcher, client = await connect(), await connect()
    await watcher.good("SubscribeEvents", queue="q")
    return watcher, client


async def test_a_job_that_fails_and_completes_is_told_step_by_step(connect: Connect) -> None:
    watcher, client = await watch(connect)
    id = (await client.good("PUSH", queue="q", name="n", data={"d": 1}, maxAttempts=3, backoff=0))["id"]
    token = (await client.good("PULL", queue="q", owner="w"))["token"]
    await client.good("Progress", id=id, progress=40, message="half")
    await client.good("FAIL", id=id, token=token, error="e")
    token = (await client.good("PULL", queue="q", owner="w", timeout=5000))["token"]
    await client.good("ACK", id=id, token=token, result=[7])
    assert await events(watcher, 7) == [
        {"eventType": "pushed", "jobId": id},
        {"eventType": "pulled", "jobId": id},
        {"eventType": "progress", "jobId": id, "progress": 40.0, "data": {"progress": 40.0, "message": "half"}},
        {"eventType": "failed", "jobId": id, "error": "e", "data": {"d": 1}, "terminal": False},
        {"eventType": "retried", "jobId": id, "prev": "failed"},
        {"eventType": "pulled", "jobId": id},
        {"eventType": "completed", "jobId": id, "data": [7]},
    ]


async def test_pauses_moves_and_removals_are_told(connect: Connect) -> None:
    watcher, client = await watch(connect)
    await client.good("Pause", queue="q")
    await client.good("Resume", queue="q")
    id = (await client.good("PUSH", queue="q", name="n", data=1, uniqueKey="k"))["id"]
    await client.good("PUSH", queue="q", name="n", data=1, uniqueKey="k")
    await client.good("PUSH", queue="q", name="n", data=1, uniqueKey="k", dedup={"extend": True, "ttl": 1000})
    token = (await client.good("PULL", queue="q", owner="w"))["token"]
    await client.good("MoveToWait", id=id, token=token)
    token = (await client.good("PULL", queue="q", owner="w"))["token"]
    await client.good("MoveToDelayed", id=id, token=token, delay=60_000)
    await client.good("Promote", id=id)
    await client.good("Cancel", id=id)
    assert await events(watcher, 9) == [
        {"eventType": "paused", "jobId": ""},
        {"eventType": "resumed", "jobId": ""},
        {"eventType": "pushed", "jobId": id},
        {"eventType": "duplicated", "jobId": id},
        {"eventType": "pulled", "jobId": id},
        {"eventType": "waiting", "jobId": id, "prev": "active"},
        {"eventType": "pulled", "jobId": id},
        {"eventType": "delayed", "jobId": id, "delay": 60_000},
        {"eventType": "removed", "jobId": id, "prev": "waiting"},
    ]


async def test_a_lease_that_runs_out_is_told_as_a_stall_and_its_end_as_a_failure(connect: Connect) -> None:
    watcher, client = await watch(connect)
    id = (await client.good("PUSH", queue="q", name="n", data=1, maxAttempts=2, stallTimeout=1))["id"]
    for _ in range(2):
        await client.good("PULL", queue="q", owner="w", timeout=5000)
    assert await events(watcher, 5) == [
        {"eventType": "pushed", "jobId": id},
        {"eventType": "pulled", "jobId": id},
        {"eventType": "stalled", "jobId": id},
        {"eventType": "pulled", "jobId": id},
        {"eventType": "stalled", "jobId": id, "data": {"stallCount": 2, "action": "move_to_dlq"}},
    ]
    assert await events(watcher, 1) == [
        {"eventType": "failed", "jobId": id, "error": "Lock expired (max attempts reached)"}
    ]


async def test_a_timeout_is_told_as_a_failure(connect: Connect) -> None:
    watcher, client = await watch(connect)
    await client.good("PUSH", queue="q", name="n", data=1, maxAttempts=1, timeout=1)
    await client.good("PULL", queue="q", owner="w")
    failed = (await events(watcher, 3))[-1]
    assert (failed["eventType"], failed["error"], failed["terminal"]) == ("failed", "Job timeout exceeded", True)


async def test_a_slow_subscriber_is_told_of_its_gap_and_holds_nobody_up(connect: Connect, server: TcpServer) -> None:
    watcher, client = await watch(connect)
    result = bytes(512 * 1024)
    pushed = 0
    (session,) = connections(server)
    while not session._missed:
        pushed += 1
        await client.good("PUSH", queue="q", name="n", data=1)
        pulled = await client.good("PULL", queue="q", owner="w")
        await client.good("ACK", id=pulled["job"]["id"], token=pulled["token"], result=result)
        assert pushed < 1000
    told = 0
    missed = session._missed
    async with in_time():
        while told < 3 * pushed - missed:
            assert (await watcher.read())["event"]["eventType"] != "gap"
            told += 1
    await client.good("PUSH", queue="q", name="n", data=1)
    gap, after = await events(watcher, 2)
    assert gap == {"eventType": "gap", "jobId": "", "missed": missed}
    assert after["eventType"] == "pushed"


def connections(server: TcpServer) -> list[Connection]:
    """The connections that listen to something."""
    return [each for each in server._connections if each.subscriptions]


async def test_expiries_are_told_to_those_only_who_name_them(connect: Connect) -> None:
    """Older clients know no such event: who names no kinds is not told, nor who names others."""
    client = await connect()
    asked = {
        "usual": {},
        "others": {"kinds": ["removed"]},
        "named": {"kinds": ["expired"]},
        "both": {"kinds": ["*", "expired"]},
    }
    watchers = {name: await connect() for name in asked}
    for name, kinds in asked.items():
        await watchers[name].good("SubscribeEvents", queue="q", **kinds)
    id = (await client.good("PUSH", queue="q", name="say", data={"d": 1}, ttl=60_000, backoff=0))["id"]
    token = (await client.good("PULL", queue="q", owner="w"))["token"]
    await client.good("FAIL", id=id, token=token, error="no answer")
    await client.good("PUSH", queue="q", name="late", data=2, ttl=1, timestamp=1)
    pulled = await client.good("PULL", queue="q", owner="w")
    assert pulled["job"]["id"] == id
    await client.good("Pause", queue="q")
    heard = {name: await _kinds(watcher) for name, watcher in watchers.items()}
    assert [event["eventType"] for event in heard["named"]] == ["expired"]
    assert heard["named"][0] | {"jobId": "", "timestamp": 0} == {
        "eventType": "expired",
        "queue": "q",
        "jobId": "",
        "timestamp": 0,
        "prev": "waiting",
        "name": "late",
        "data": 2,
    }
    assert "expired" not in [event["eventType"] for event in heard["usual"]]
    assert [event["eventType"] for event in heard["others"]] == ["removed"]
    usual = [event["eventType"] for event in heard["usual"]]
    assert sorted(event["eventType"] for event in heard["both"]) == sorted([*usual, "expired"])


async def test_what_was_missed_of_them_is_told_to_those_only_too(connect: Connect) -> None:
    client, first, late, named = [await connect() for _ in range(4)]
    begun = await first.good("SubscribeEvents", queue="q")
    await client.good("PUSH", queue="q", name="late", data=2, ttl=1, timestamp=1)
    await client.good("PULL", queue="q", owner="w")
    await client.good("Pause", queue="q")
    since = {"since": begun["seq"], "epoch": begun["epoch"]}
    await late.good("SubscribeEvents", queue="q", **since)
    await named.good("SubscribeEvents", queue="q", kinds=["*", "expired"], **since)
    assert [event["eventType"] for event in await _kinds(late)] == ["pushed", "removed", "paused"]
    assert [event["eventType"] for event in await _kinds(named)] == ["pushed", "removed", "expired", "paused"]


async def _kinds(watcher: WireClient) -> list[dict[str, Any]]:
    """What it was told until now."""
    found: list[dict[str, Any]] = []
    await watcher.send({"cmd": "Ping"})
    while True:
        message = await watcher.read()
        if "event" not in message:
            return found
        found.append(message["event"])
