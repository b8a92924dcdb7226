"""What lasts longer than a command: order, long-polls, leases of a connection, subscriptions, the end of the hub."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from hubqueue.commands.call import Call
from hubqueue.commands.command import Command
from hubqueue.commands.queues import Drain
from hubqueue.commands.sessions import Ping
from hubqueue.errors import ConfigError
from hubqueue.hub.hub import Hub
from hubqueue.servers.settings import TcpSettings
from hubqueue.servers.tcp import TcpServer
from support.context import context_of
from support.tcp import Connect
from support.waiting import until
from support.wire import WireClient, frame


def frames(*messages: dict[str, Any]) -> bytes:
    return b"".join(frame(msgspec.msgpack.encode(message)) for message in messages)


async def test_pipelined_commands_are_executed_in_order(client: WireClient) -> None:
    pushes = [{"cmd": "PUSH", "reqId": i, "queue": "q", "name": str(i), "data": i} for i in range(5)]
    await client.send_bytes(frames(*pushes, {"cmd": "PULLB", "reqId": "pull", "queue": "q", "count": 10}))
    replies = [await client.read() for _ in range(6)]
    assert [reply["reqId"] for reply in replies] == [0, 1, 2, 3, 4, "pull"]
    assert [job["name"] for job in replies[-1]["jobs"]] == ["0", "1", "2", "3", "4"]


async def test_commands_behind_a_long_one_wait_for_it(client: WireClient) -> None:
    for _ in range(3):
        await client.good("PUSHB", queue="q", jobs=[{"name": "n", "data": 1}] * 1000)
    await client.send_bytes(frames({"cmd": "Drain", "queue": "q"}, {"cmd": "Count", "queue": "q"}))
    assert (await client.read())["count"] == 3000
    assert (await client.read())["count"] == 0


async def test_a_long_poll_holds_nothing_back_and_gets_the_next_job(client: WireClient) -> None:
    await client.send({"cmd": "PULL", "reqId": "poll", "queue": "q", "owner": "w", "timeout": 30_000})
    pushed = await client.good("PUSH", reqId="push", queue="q", name="n", data=1)
    polled = await client.read()
    assert polled["reqId"] == "poll"
    assert polled["job"]["id"] == pushed["id"]


async def test_a_long_poll_ends_empty_when_its_time_is_over(client: WireClient) -> None:
    assert (await client.good("PULL", queue="q", owner="w", timeout=30))["job"] is None
    assert (await client.good("PULLB", queue="q", owner="w", timeout=30, count=3))["jobs"] == []


async def test_long_polls_are_served_in_order_of_arrival(connect: Connect) -> None:
    first, second, producer = await connect(), await connect(), await connect()
    for poller in (first, second):
        await poller.send({"cmd": "PULL", "queue": "q", "owner": "w", "timeout": 30_000})
        await poller.good("Ping")
    await producer.good("PUSH", queue="q", name="one", data=1)
    assert (await first.read())["job"]["name"] == "one"
    await producer.good("PUSH", queue="q", name="two", data=1)
    assert (await second.read())["job"]["name"] == "two"


async def test_a_thousand_long_polls_may_wait_and_no_more(client: WireClient) -> None:
    polls = [{"cmd": "PULL", "reqId": i, "queue": "q", "owner": "w", "timeout": 30_000} for i in range(1001)]
    await client.send_bytes(frames(*polls))
    reply = await client.read()
    assert (reply["reqId"], reply["code"], reply["retryable"]) == (1000, "busy", True)
    await client.good("Ping")
    await client.good("PUSHB", queue="q", jobs=[{"name": "n", "data": 1}] * 2)
    assert {(await client.read())["reqId"] for _ in range(2)} == {0, 1}


async def test_the_poll_of_a_lost_connection_takes_no_job(connect: Connect, server: TcpServer) -> None:
    gone, client = await connect(), await connect()
    await gone.send({"cmd": "PULL", "queue": "q", "owner": "w", "timeout": 30_000})
    await gone.good("Ping")
    gone.abort()
    await until(lambda: server.connections == 1)
    await client.good("PUSH", queue="q", name="n", data=1)
    assert (await client.good("PULL", queue="q", owner="v"))["job"]["attempts"] == 0


async def test_jobs_of_a_lost_connection_come_back_after_the_grace_and_count_as_lost(connect: Connect) -> None:
    gone, client = await connect(), await connect()
    await client.good("PUSH", queue="q", name="n", data=1)
    await gone.good("PULL", queue="q", owner="w", lockTtl=60_000)
    gone.abort()
    job = (await client.good("PULL", queue="q", owner="v", timeout=10_000))["job"]
    assert job["lostCount"] == 1


async def test_a_lease_belongs_to_the_connection_that_renewed_it(connect: Connect, server: TcpServer) -> None:
    """A client that came back renews before its old, half-open connection is found dead."""
    old, new, client = await connect(), await connect(), await connect()
    ids = [
        (await client.good("PUSH", queue="q", name="n", data=1, **custom))["id"] for custom in ({}, {"jobId": "mine"})
    ]
    pulled = await old.good("PULLB", queue="q", owner="w", count=2, lockTtl=60_000)
    await new.good("JobHeartbeatB", ids=ids, tokens=pulled["tokens"])
    old.abort()
    await until(lambda: server.connections == 2)
    assert (await client.good("PULL", queue="q", owner="v", timeout=800))["job"] is None
    new.abort()
    back = await client.good("PULL", queue="q", owner="v", timeout=10_000)
    assert back["job"]["lostCount"] == 1


async def test_a_job_that_is_renewed_and_ended_at_once_is_held_no_more(connect: Connect, hub: Hub) -> None:
    """Both before the first is answered: else a stop would wait for it, and nobody ever end it."""
    client = await connect()
    await client.good("PUSH", queue="q", name="n", data=1)
    pulled = await client.good("PULL", queue="q", owner="w")
    it = {"id": pulled["job"]["id"], "token": pulled["token"]}
    for cmd in ("JobHeartbeat", "ACK"):
        await client.send({"cmd": cmd, **it})
    assert [(await client.read())["ok"] for _ in range(2)] == [True, True]
    assert hub.held_count == 0


async def test_settled_jobs_are_not_remembered(connect: Connect, hub: Hub) -> None:
    client = await connect()
    for custom in ({}, {"jobId": "mine"}):
        await client.good("PUSHB", queue="q", jobs=[{"name": "n", "data": 1}, {"name": "m", "data": 1}])
        await client.good("PUSH", queue="q", name="n", data=1, **custom)
        pulled = await client.good("PULLB", queue="q", owner="w", count=3)
        ids = [job["id"] for job in pulled["jobs"]]
        await client.good("ACKB", ids=ids[:1], tokens=pulled["tokens"][:1])
        await client.good("FAIL", id=ids[1], token=pulled["tokens"][1])
        await client.good("ACK", id=ids[2], token=pulled["tokens"][2])
    assert hub.held_count == 0


async def test_a_token_is_good_on_another_connection_within_the_grace(connect: Connect, server: TcpServer) -> None:
    gone, client = await connect(), await connect()
    await client.good("PUSH", queue="q", name="n", data=1)
    pulled = await gone.good("PULL", queue="q", owner="w")
    gone.abort()
    await until(lambda: server.connections == 1)
    await client.good("JobHeartbeat", id=pulled["job"]["id"], token=pulled["token"])
    assert (await client.good("PULL", queue="q", owner="v", timeout=600))["job"] is None
    await client.good("ACK", id=pulled["job"]["id"], token=pulled["token"])


@pytest.mark.parametrize("fields", [{"owner": "w", "detach": True}, {}], ids=["detached", "ownerless"])
async def test_detached_leases_outlive_their_connection(connect: Connect, fields: dict[str, Any]) -> None:
    gone, client = await connect(), await connect()
    await client.good("PUSH", queue="q", name="n", data=1)
    pulled = await gone.good("PULL", queue="q", **fields)
    gone.abort()
    assert (await client.good("PULL", queue="q", owner="v", timeout=800))["job"] is None
    await client.good("ACK", id=pulled["job"]["id"], token=pulled.get("token"))


async def test_a_worker_that_says_goodbye_gives_its_jobs_back_at_once_and_uncounted(connect: Connect) -> None:
    leaving, client = await connect(), await connect()
    await client.good("PUSH", queue="q", name="n", data=1)
    worker = (await leaving.good("RegisterWorker", name="w"))["data"]["workerId"]
    await leaving.good("PULL", queue="q", owner="w", lockTtl=60_000)
    await leaving.good("UnregisterWorker", workerId=worker)
    await leaving.close()
    job = (await client.good("PULL", queue="q", owner="v", timeout=10_000))["job"]
    assert (job["lostCount"], job["attempts"]) == (0, 0)


async def test_the_workers_of_a_connection_go_with_it(connect: Connect, server: TcpServer) -> None:
    gone, client = await connect(), await connect()
    await gone.good("RegisterWorker", name="w")
    assert len((await client.good("ListWorkers"))["data"]["workers"]) == 1
    await gone.close()
    await until(lambda: server.connections == 1)
    assert (await client.good("ListWorkers"))["data"]["workers"] == []


async def test_waiting_for_a_job_ends_with_the_job(connect: Connect) -> None:
    waiting, worker = await connect(), await connect()
    ids = (await worker.good("PUSHB", queue="q", jobs=[{"name": "n", "data": 1, "maxAttempts": 1}] * 3))["ids"]
    for id in ids:
        await waiting.send({"cmd": "WaitJob", "reqId": id, "id": id, "timeout": 30_000})
    await waiting.good("Ping", reqId="p")
    pulled = await worker.good("PULLB", queue="q", owner="w", count=3)
    await worker.good("ACK", id=ids[0], token=pulled["tokens"][0], result=[1])
    assert await waiting.read() == {"ok": True, "reqId": ids[0], "completed": True, "result": [1]}
    await worker.good("FAIL", id=ids[1], token=pulled["tokens"][1])
    assert await waiting.read() == {"ok": True, "reqId": ids[1], "completed": False}
    await worker.good("ACK", id=ids[2], token=pulled["tokens"][2], removeOnComplete=True)
    assert await waiting.read() == {"ok": True, "reqId": ids[2], "completed": True}


async def test_a_subscription_ends_with_its_connection(connect: Connect, hub: Hub, server: TcpServer) -> None:
    gone, client = await connect(), await connect()
    await gone.good("SubscribeEvents", queue="q")
    assert hub.store.tx.watched("q")
    gone.abort()
    await until(lambda: server.connections == 1)
    assert hub.recent._topics["q"].followers == 0  # events are kept for a minute, in case it comes back
    await client.good("PUSH", queue="q", name="n", data=1)


async def test_a_stale_worker_changes_nothing(connect: Connect) -> None:
    """P3: after its lease was taken over, every verb with the old token is refused."""
    client = await connect()
    id = (await client.good("PUSH", queue="q", name="n", data=1))["id"]
    old = (await client.good("PULL", queue="q", owner="slow"))["token"]
    await client.good("MoveToWait", id=id, token=old)
    new = (await client.good("PULL", queue="q", owner="fast"))["token"]
    stale: list[dict[str, Any]] = [
        {"cmd": "ACK", "id": id, "token": old},
        {"cmd": "ACKB", "ids": [id], "tokens": [old]},
        {"cmd": "FAIL", "id": id, "token": old},
        {"cmd": "Release", "id": id, "token": old},
        {"cmd": "Settle", "settlements": [{"id": id, "token": old, "outcome": "complete"}]},
        {"cmd": "JobHeartbeat", "id": id, "token": old},
        {"cmd": "ExtendLock", "id": id, "token": old, "duration": 1000},
        {"cmd": "Progress", "id": id, "token": old, "progress": 50},
        {"cmd": "ChangeDelay", "id": id, "token": old, "delay": 1000},
        {"cmd": "Discard", "id": id, "token": old},
    ]
    for message in stale:
        await client.send(message)
        assert (await client.read())["code"] == "lock_lost", message
    assert (await client.good("GetJob", id=id))["job"]["state"] == "active"
    assert (await client.good("GetJob", id=id))["job"]["progress"] == 0
    await client.good("ACK", id=id, token=new)


async def test_the_door_closes_when_running_work_has_ended(connect: Connect, server: TcpServer, hub: Hub) -> None:
    worker = await connect()
    await worker.good("PUSHB", queue="q", jobs=[{"name": "n", "data": 1}] * 2)
    pulled = await worker.good("PULL", queue="q", owner="w")
    await worker.send({"cmd": "PULL", "reqId": "poll", "queue": "nothing", "owner": "w", "timeout": 30_000})
    await worker.good("Ping")
    hub.drain_off()
    closing = asyncio.create_task(server.close())
    assert (await worker.read())["job"] is None
    assert (await worker.call("PUSH", queue="q", name="n", data=1))["code"] == "draining"
    assert (await worker.good("PULL", queue="q", owner="w"))["job"] is None
    assert not closing.done()
    await worker.good("ACK", id=pulled["job"]["id"], token=pulled["token"])
    assert await worker.ended() == b""
    await closing
    assert (await hub.counts("q")).completed == 1


async def test_work_that_does_not_end_in_time_is_given_back_uncounted(
    connect: Connect, server: TcpServer, hub: Hub
) -> None:
    worker = await connect()
    id = (await worker.good("PUSH", queue="q", name="n", data=1))["id"]
    await worker.good("PULL", queue="q", owner="w", lockTtl=600_000)
    await server.close()
    await hub.run(lambda tx: None)
    job = await hub.get(id)
    assert (job.state.name, job.lost_count, job.attempts) == ("WAITING", 0, 0)


async def test_a_port_in_use_is_named(server: TcpServer, hub: Hub) -> None:
    second = TcpServer(context_of(hub), TcpSettings(port=server.port))
    with pytest.raises(ConfigError, match=f"127.0.0.1:{server.port}"):
        await second.start()


@pytest.mark.parametrize("command", [Ping, Drain], ids=["at once", "in several transactions"])
async def test_a_defect_is_an_answer_and_a_line_in_the_log(
    client: WireClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, command: type[Command]
) -> None:
    monkeypatch.setattr(command, "handle", broken_at_once if command is Ping else broken_later)
    reply = await client.call(str(command.__struct_config__.tag), queue="q")
    assert (reply["error"], reply["code"]) == ("Internal error", "internal")
    assert "a defect" in caplog.text
    await client.good("ListQueues")


def broken_at_once(command: Command, call: Call) -> None:
    raise KeyError("broken")


async def broken_later(command: Command, call: Call) -> dict[str, Any]:
    raise KeyError("broken")
