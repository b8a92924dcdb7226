"""What a token that may only pull from one queue can do, and whose workers and forwarded ids are whose."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from hubqueue.hub.hub import Hub
from hubqueue.model.access import Scope
from hubqueue.model.job import NewJob
from hubqueue.model.state import State
from support.wire import WireClient

Connect = Callable[[], Awaitable[WireClient]]
Enter = Callable[..., Awaitable[WireClient]]


@pytest.fixture
def tokens() -> tuple[str, ...]:
    return ("admin",)


@pytest.fixture
def enter(hub: Hub, connect: Connect) -> Enter:
    """A client that came in with a new token of this name."""

    async def enter(name: str, *scopes: Scope, queues: tuple[str, ...] | None = None) -> WireClient:
        secret = await hub.run(lambda tx: hub.access.add(tx, name, scopes, queues))
        client = await connect()
        await client.good("Auth", token=secret)
        return client

    return enter


@pytest.fixture
async def cloud(enter: Enter) -> WireClient:
    return await enter("cloud", Scope.PULL, queues=("readings",))


def new(count: int) -> list[NewJob]:
    return [NewJob(name="reading", data=bytes([number])) for number in range(count)]


async def test_a_puller_takes_jobs_and_ends_them_in_every_way(hub: Hub, cloud: WireClient) -> None:
    await hub.enqueue("readings", new(6))
    pulled = await cloud.good("PULLB", queue="readings", owner="cloud", count=6)
    ids, held = [job["id"] for job in pulled["jobs"]], pulled["tokens"]
    await cloud.good("ExtendLocks", ids=ids, tokens=held, durations=[60_000] * 6)
    await cloud.good("JobHeartbeatB", ids=ids, tokens=held)
    await cloud.good("ACK", id=ids[0], token=held[0])
    await cloud.good("ACKB", ids=ids[1:2], tokens=held[1:2])
    await cloud.good("FAIL", id=ids[2], token=held[2], error="no", unrecoverable=True)
    await cloud.good("Release", id=ids[3], token=held[3])
    ends = [{"id": id, "token": token, "outcome": "complete"} for id, token in zip(ids[4:], held[4:], strict=True)]
    await cloud.good("Settle", settlements=ends)
    counts = await hub.counts("readings")
    assert (counts.completed, counts.failed, counts.waiting, counts.active) == (4, 1, 1, 0)


@pytest.mark.parametrize(
    ("command", "fields"),
    [
        ("PUSH", {"queue": "readings", "name": "n", "data": 1}),
        ("PUSHB", {"queue": "readings", "jobs": [{"name": "n", "data": 1}]}),
        ("GetJobs", {"queue": "readings", "state": "waiting"}),
        ("GetJobCounts", {"queue": "readings"}),
        ("SubscribeEvents", {"queue": "readings"}),
        ("GetJob", {"id": "$id"}),
        ("Update", {"id": "$id", "data": 2}),
        ("Discard", {"id": "$id"}),
        ("AddLog", {"id": "$id", "message": "m"}),
        ("MoveToDelayed", {"id": "$id", "delay": 60_000}),
        ("ListQueues", {}),
        ("ListWorkers", {}),
        ("Drain", {"queue": "readings"}),
        ("Settle", {"outputs": [{"queue": "readings", "jobs": [{"name": "n", "data": 1}]}]}),
        ("Settle", {"blobs": [{"namespace": "n", "key": "k", "value": b"v"}]}),
        ("PULL", {"queue": "other", "owner": "cloud"}),
        ("PULLB", {"queue": "other", "owner": "cloud", "count": 1}),
        ("RegisterWorker", {"queues": ["other"]}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_puller_may_do_nothing_else(hub: Hub, cloud: WireClient, command: str, fields: dict[str, Any]) -> None:
    (id,) = await hub.enqueue("readings", new(1))
    await hub.enqueue("other", new(1))
    reply = await cloud.call(command, **{key: id if value == "$id" else value for key, value in fields.items()})
    assert reply.get("code") == "forbidden", reply
    job = await hub.get(id)
    assert (job.state, job.data) == (State.WAITING, b"\x00")
    assert {info.name: info.counts.waiting for info in await hub.queues()} == {"other": 1, "readings": 1}


async def test_a_puller_without_a_list_of_queues_keeps_no_state_blobs(enter: Enter) -> None:
    cloud = await enter("cloud", Scope.PULL)
    assert "'work'" in (await cloud.call("Settle", blobs=[{"namespace": "n", "key": "k", "value": b"v"}]))["error"]


async def test_a_job_of_another_queue_cannot_be_ended(hub: Hub, cloud: WireClient) -> None:
    await hub.enqueue("other", new(1))
    (held,) = await hub.lease("other", owner="somebody")
    for command in ("ACK", "FAIL", "Release"):
        assert (await cloud.call(command, id=held.job.id, token=held.token))["code"] == "forbidden"
    assert (await hub.get(held.job.id)).state is State.ACTIVE


@pytest.mark.parametrize("limited", [("readings",), None])
async def test_a_worker_is_changed_by_its_own_token_alone(
    enter: Enter, connect: Connect, limited: tuple[str, ...] | None
) -> None:
    first = await enter("first", Scope.WORK, queues=limited)
    second = await enter("second", Scope.WORK, Scope.READ, queues=limited)
    await first.good("RegisterWorker", workerId="w", name="w", queues=["readings"])
    for command, fields in (
        ("UnregisterWorker", {"workerId": "w"}),
        ("Heartbeat", {"id": "w", "processed": 1_000_000}),
        ("RegisterWorker", {"workerId": "w", "queues": ["readings"], "hostname": "elsewhere"}),
    ):
        assert (await second.call(command, **fields))["code"] == "forbidden", command
    (worker,) = (await second.good("ListWorkers"))["data"]["workers"]
    assert (worker["hostname"], worker["processedJobs"]) == ("unknown", 0)
    await first.good("RegisterWorker", workerId="w", queues=["readings"], hostname="own")
    await first.good("Heartbeat", id="w")
    admin = await connect()
    await admin.good("Auth", token="admin")
    await admin.good("UnregisterWorker", workerId="w")
    assert (await second.good("ListWorkers"))["data"]["workers"] == []


def forwarded(*seqs: int, hub_id: str = "edge7") -> list[dict[str, Any]]:
    return [{"name": "n", "data": seq, "customId": f"fwd:{hub_id}:readings:{seq}"} for seq in seqs]


async def test_p6_a_token_cannot_pretend_to_have_sent_the_jobs_of_another(hub: Hub, enter: Enter) -> None:
    site = await enter("site-7", Scope.ENQUEUE, queues=("readings",))
    stranger = await enter("stranger", Scope.ENQUEUE, queues=("readings",))
    unlimited = await enter("unlimited", Scope.ENQUEUE)
    await site.good("PUSHB", queue="readings", jobs=forwarded(1, 2), forwardFloor=1)
    for thief in (stranger, unlimited):
        for fields in ({"jobs": forwarded(2), "forwardFloor": 1000}, {"jobs": forwarded(3, 4)}):
            refused = await thief.call("PUSHB", queue="readings", **fields)
            assert (refused["code"], "edge7" in refused["error"]) == ("forbidden", True)
        alone = await thief.call("PUSH", queue="readings", name="n", data=1, jobId="fwd:edge7:readings:5")
        assert alone["code"] == "forbidden"
    await stranger.good("PUSHB", queue="readings", jobs=forwarded(1, hub_id="edge8"), forwardFloor=1)
    await site.good("PUSHB", queue="readings", jobs=forwarded(*range(3, 8)), forwardFloor=3)
    assert (await hub.counts("readings")).waiting == 2 + 1 + 5


async def test_p6_outputs_of_a_settle_take_no_ids_of_another_sender(hub: Hub, enter: Enter) -> None:
    site = await enter("site-7", Scope.ENQUEUE)
    worker = await enter("worker", Scope.WORK, Scope.ENQUEUE)
    await site.good("PUSHB", queue="readings", jobs=forwarded(1))
    outputs = [{"queue": "readings", "jobs": forwarded(2)}]
    assert (await worker.call("Settle", outputs=outputs))["code"] == "forbidden"


async def test_p6_a_refused_batch_binds_nothing_and_spoils_nothing(
    hub: Hub, enter: Enter, caplog: pytest.LogCaptureFixture
) -> None:
    site = await enter("site-7", Scope.ENQUEUE)
    fresh = await enter("fresh", Scope.ENQUEUE)
    (own,) = await hub.enqueue("other", new(1))
    refused = await site.call("PUSHB", queue="readings", jobs=[*forwarded(1), {"name": "n", "customId": own}])
    assert refused["code"] == "invalid"
    await fresh.good("PUSHB", queue="readings", jobs=forwarded(1))
    assert (await site.call("PUSHB", queue="readings", jobs=forwarded(2)))["code"] == "forbidden"
    assert (await hub.counts("readings")).waiting == 1
    assert "a defect" not in caplog.text


async def test_p6_a_token_takes_over_from_one_that_was_revoked(hub: Hub, enter: Enter, connect: Connect) -> None:
    admin = await connect()
    await admin.good("Auth", token="admin")
    await admin.good("PUSHB", queue="readings", jobs=forwarded(1), forwardFloor=1)  # binds nothing
    old = await enter("old", Scope.ENQUEUE, queues=("readings",))
    fresh = await enter("fresh", Scope.ENQUEUE, queues=("readings",))
    await old.good("PUSHB", queue="readings", jobs=forwarded(1, 2), forwardFloor=1)
    assert "revoke" in (await fresh.call("PUSHB", queue="readings", jobs=forwarded(3), forwardFloor=3))["hint"]
    await admin.good("TokenRevoke", name="old")
    await fresh.good("PUSHB", queue="readings", jobs=forwarded(2, 3), forwardFloor=2)
    await admin.good("PUSHB", queue="readings", jobs=forwarded(4), forwardFloor=2)
    assert (await hub.counts("readings")).waiting == 4


async def test_p6_whose_ids_are_whose_outlives_a_restart(hub: Hub, enter: Enter) -> None:
    site = await enter("site-7", Scope.ENQUEUE)
    await site.good("PUSHB", queue="readings", jobs=forwarded(1))
    path = hub.store.path
    await hub.close()
    async with await Hub.open(path) as again:
        row = await again.run(lambda tx: tx.execute("SELECT hub_id, queue, token FROM forward_source").fetchall())
    assert row == [("edge7", "readings", "site-7")]
