"""Dead letters by group over the wire, and what a token that is limited to queues gets to see."""

from __future__ import annotations

from typing import Any

import pytest

from hubqueue.hub.hub import Hub
from support.tcp import Connect
from support.wire import WireClient


async def kill(client: WireClient, queue: str, *errors: str) -> list[str]:
    """Jobs that died of these, as ids."""
    ids = []
    for error in errors:
        ids.append((await client.good("PUSH", queue=queue, name="n", data=1, maxAttempts=1))["id"])
        token = (await client.good("PULL", queue=queue, owner="w"))["token"]
        await client.good("FAIL", id=ids[-1], token=token, error=error)
    return ids


async def states(client: WireClient, ids: list[str]) -> list[str]:
    return [(await client.good("GetState", id=id))["state"] for id in ids]


async def test_a_group_is_retried_by_its_sample_or_its_pattern(client: WireClient) -> None:
    ids = await kill(client, "q", "no route to 10.0.0.1", "disk full", "no route to 10.0.0.2")
    group = (await client.good("DeadReasons", queue="q"))["reasons"][0]
    assert group["count"] == 2
    filter = {"reason": group["reason"], "error": group["error"]}
    assert (await client.good("RetryDlq", queue="q", filter=filter))["count"] == 2
    assert await states(client, ids) == ["waiting", "failed", "waiting"]
    assert (await client.good("RetryDlq", queue="q", filter=filter))["count"] == 0

    ids = await kill(client, "r", "try 1 of 'x'", "try 2 of 'y'", "other")
    group = (await client.good("DeadReasons", queue="r"))["reasons"][0]
    assert (await client.good("RetryDlq", queue="r", filter={"error": group["pattern"]}))["count"] == 2
    assert await states(client, ids) == ["waiting", "waiting", "failed"]


async def test_a_group_is_purged_and_the_others_stay(client: WireClient) -> None:
    ids = await kill(client, "q", "no route to 10.0.0.1", "disk full", "no route to 10.0.0.2")
    assert len((await client.good("Dlq", queue="q", filter={"error": "no route to 7"}))["jobs"]) == 2
    assert (await client.good("PurgeDlq", queue="q", filter={"error": "no route to 7"}))["count"] == 2
    assert await states(client, ids) == ["unknown", "failed", "unknown"]
    assert (await client.good("PurgeDlq", queue="q", filter={"reason": "nothing"}))["count"] == 0
    assert (await client.good("PurgeDlq", queue="q"))["count"] == 1


async def test_a_filter_keeps_its_offset_and_limit(client: WireClient) -> None:
    ids = await kill(client, "q", *["e 1"] * 5)
    assert (await client.good("RetryDlq", queue="q", filter={"error": "e 2", "offset": 1, "limit": 2}))["count"] == 2
    assert await states(client, ids) == ["failed", "waiting", "waiting", "failed", "failed"]


async def test_many_dead_letters_of_a_group_go_in_steps(client: WireClient, hub: Hub) -> None:
    await client.good("PUSHB", queue="q", jobs=[{"name": "n", "maxAttempts": 1} for _ in range(700)])
    pulled = await client.good("PULLB", queue="q", owner="w", count=700)
    settlements = [
        {"id": job["id"], "token": token, "outcome": {"type": "fail", "error": f"lost {n}"}}
        for n, (job, token) in enumerate(zip(pulled["jobs"], pulled["tokens"], strict=True))
    ]
    for settlement in settlements:
        await client.good("FAIL", id=settlement["id"], token=settlement["token"], error=settlement["outcome"]["error"])
    assert (await client.good("DeadReasons"))["reasons"][0]["count"] == 700
    assert (await client.good("RetryDlq", queue="q", filter={"error": "lost 1"}))["count"] == 700
    assert (await hub.counts("q")).waiting == 700


@pytest.mark.parametrize("tokens", [("secret",)])
async def test_a_limited_token_sees_its_own_queues_only(connect: Connect) -> None:
    admin, client = await connect(), await connect()
    await admin.good("Auth", token="secret")
    await kill(admin, "mine", "broke 1")
    await kill(admin, "theirs", "broke 2")
    limited = await admin.good("TokenAdd", name="some", scopes=["read"], queues=["mine"])
    await client.good("Auth", token=limited["token"])

    def queues(reply: dict[str, Any], key: str, name: str = "queue") -> set[str]:
        return {each[name] for each in reply[key]}

    assert queues(await client.good("FindJobs"), "jobs") == {"mine"}
    assert queues(await client.good("DeadReasons"), "reasons") == {"mine"}
    overview = await client.good("Overview")
    assert queues(overview, "queues", "name") == {"mine"}
    assert overview["totals"]["failed"] == overview["queueCount"] == 1
    assert overview["rates"] is None
    for command in ("FindJobs", "DeadReasons", "History"):
        assert (await client.call(command, queue="theirs"))["code"] == "forbidden"
    assert (await client.call("History"))["code"] == "forbidden"
    assert (await client.good("History", queue="mine"))["series"]


async def test_odd_payloads_leave_every_list_whole(client: WireClient) -> None:
    odd: list[Any] = [float("nan"), 2**63, b"\xff\x00", {1: {"a": None}}, "\U0001f41d" * 50, {"x": [[[[]]]]}]
    for data in odd:
        await client.good("PUSH", queue="q", name="n", data=data)
    found = await client.good("FindJobs", text="n")
    assert len(found["jobs"]) == len(odd)
    assert (await client.good("FindJobs", text="\U0001f41d"))["jobs"][0]["data"] == odd[4]
