"""Flows over a real socket: trees of any shape, links between pushes, and what the end of a child does."""

from __future__ import annotations

from typing import Any

import pytest

from support.tcp import Connect
from support.wire import WireClient

Node = dict[str, Any]


def node(id: str, *children: str, parent: str | None = None, queue: str = "q", up: str = "q", **options: Any) -> Node:
    """One job of a flow with its metadata, as flow producers send it. up: the queue of its parent."""
    data: dict[str, Any] = {"of": id}
    if children:
        data["__childrenIds"] = list(children)
        options |= {"childrenIds": list(children), "dependsOn": list(children)}
    if parent is not None:
        data |= {"__parentId": parent, "__parentQueue": up}
        options["parentId"] = parent
    return {"id": id, "queue": queue, "input": {"name": id, "data": data, "maxAttempts": 1, **options}}


async def state(client: WireClient, id: str) -> str:
    found: str = (await client.good("GetState", id=id))["state"]
    return found


async def run(client: WireClient, count: int, *, queue: str = "q", fail: tuple[str, ...] = ()) -> list[str]:
    """Take so many jobs, complete them (or fail those named), and tell which they were."""
    pulled = await client.good("PULLB", queue=queue, owner="w", count=count)
    ids = [job["id"] for job in pulled["jobs"]]
    for id, token in zip(ids, pulled["tokens"], strict=True):
        if id in fail:
            await client.good("FAIL", id=id, token=token, error=f"{id} broke")
        else:
            await client.good("ACK", id=id, token=token, result={"from": id})
    return ids


async def test_a_tree_a_hundred_levels_deep_runs_from_the_leaf_to_the_root(client: WireClient) -> None:
    ids = [f"n{level}" for level in range(100)]
    nodes = [
        node(id, *ids[level + 1 : level + 2], parent=ids[level - 1] if level else None) for level, id in enumerate(ids)
    ]
    made = (await client.good("PUSHF", jobs=nodes))["data"]["jobs"]
    assert [job["id"] for job in made] == ids
    for id in reversed(ids):
        assert await run(client, 5) == [id]
    assert (await client.good("GetChildrenValues", id="n0"))["data"]["values"] == {"q:n1": {"from": "n1"}}


async def test_a_tree_a_thousand_children_wide_lets_its_parent_go_at_the_last(client: WireClient) -> None:
    ids = [f"c{n}" for n in range(1000)]
    nodes = [node("root", *ids, queue="roots"), *[node(id, parent="root", up="roots") for id in ids]]
    await client.good("PUSHF", jobs=nodes)
    pulled = await client.good("PULLB", queue="q", owner="w", count=1000)
    tokens = pulled["tokens"]
    await client.good("ACKB", ids=ids[:-1], tokens=tokens[:-1], results=[*range(999)])
    assert (await client.good("PULL", queue="roots", owner="w"))["job"] is None
    await client.good("ACKB", ids=ids[-1:], tokens=tokens[-1:], results=[999])
    assert (await client.good("PULL", queue="roots", owner="w"))["job"]["id"] == "root"
    values = (await client.good("GetChildrenValues", id="root"))["data"]["values"]
    assert values == {f"q:c{n}": n for n in range(1000)}


async def test_the_largest_flow_is_stored_and_a_larger_one_refused(client: WireClient) -> None:
    nodes = [node(f"n{n}") for n in range(10_001)]
    reply = await client.call("PUSHF", jobs=nodes)
    assert reply["error"] == "flow exceeds the 10000 job limit"
    assert len((await client.good("PUSHF", jobs=nodes[:-1]))["data"]["jobs"]) == 10_000
    assert (await client.good("Count", queue="q"))["count"] == 10_000


async def test_a_chain_of_ten_thousand_in_one_batch_is_taken_in_one_go(client: WireClient) -> None:
    """Looking for circles must not take a step for each pair."""
    jobs: list[dict[str, Any]] = [
        {"name": "n", "data": 1, "customId": f"n{n}", "dependsOn": [f"n{n - 1}"] if n else []} for n in range(10_000)
    ]
    await client.good("PUSHB", queue="q", jobs=jobs)
    counts = (await client.good("GetJobCounts", queue="q"))["counts"]
    assert (counts["waiting"], counts["waiting-children"]) == (1, 9_999)


async def test_a_parent_gets_one_child_after_the_other(connect: Connect) -> None:
    client, worker = await connect(), await connect()
    await client.good("PUSH", queue="p", name="parent", data={"x": 1}, jobId="parent")
    for n in range(100):
        data = {"__parentId": "parent", "__parentQueue": "p"}
        await client.good("PUSH", queue="q", name="c", data=data, parentId="parent", jobId=f"c{n}")
    job = (await client.good("GetJob", id="parent"))["job"]
    assert job["data"] == {"x": 1, "__childrenIds": [f"c{n}" for n in range(100)]}
    assert len(await run(worker, 1000)) == 100
    assert (await worker.good("PULL", queue="p", owner="w"))["job"]["id"] == "parent"


@pytest.mark.parametrize(
    ("policy", "after_failure", "values"),
    [
        ({}, "waiting-children", {}),
        ({"failParentOnFailure": True}, "failed", {}),
        ({"continueParentOnFailure": True}, "waiting", {"GetFailedChildrenValues": {"q:bad": "bad broke"}}),
        (
            {"ignoreDependencyOnFailure": True},
            "waiting-children",
            {"GetIgnoredChildrenFailures": {"q:bad": "bad broke"}},
        ),
        ({"removeDependencyOnFailure": True}, "waiting-children", {}),
    ],
    ids=lambda value: next(iter(value), "none") if isinstance(value, dict) else "",
)
async def test_the_policy_of_a_dead_child_decides_about_its_parent(
    client: WireClient, policy: dict[str, bool], after_failure: str, values: dict[str, dict[str, str]]
) -> None:
    await client.good(
        "PUSHF", jobs=[node("root", "bad", "good"), node("bad", parent="root", **policy), node("good", parent="root")]
    )
    pulled = await client.good("PULLB", queue="q", owner="w", count=2)
    await client.good("FAIL", id="bad", token=pulled["tokens"][0], error="bad broke")
    assert await state(client, "root") == after_failure
    await client.good("ACK", id="good", token=pulled["tokens"][1])
    for command in ("GetFailedChildrenValues", "GetIgnoredChildrenFailures"):
        assert (await client.good(command, id="root"))["values"] == values.get(command, {})
    runs = bool(policy) and after_failure != "failed"
    assert await state(client, "root") == ("waiting" if runs else after_failure)


async def test_a_failure_climbs_and_says_where_it_came_from(client: WireClient) -> None:
    climbing = {"failParentOnFailure": True}
    await client.good(
        "PUSHF",
        jobs=[
            node("top", "mid"),
            node("mid", "leaf", parent="top", **climbing),
            node("leaf", parent="mid", **climbing),
        ],
    )
    assert await run(client, 1, fail=("leaf",)) == ["leaf"]
    job = (await client.good("GetJob", id="top"))["job"]
    assert (job["state"], job["reason"]) == ("failed", "child_failed")
    assert job["failedReason"] == "Child job mid failed: Child job leaf failed: leaf broke"


async def test_a_child_that_died_before_its_parent_was_named_tells_it_then(client: WireClient) -> None:
    data = {"__parentId": "pending", "__parentQueue": "q"}
    await client.good(
        "PUSH",
        queue="q",
        name="n",
        data=data,
        parentId="pending",
        jobId="kid",
        maxAttempts=1,
        ignoreDependencyOnFailure=True,
    )
    await run(client, 1, fail=("kid",))
    await client.good("PUSH", queue="q", name="n", data={}, jobId="root", dependsOn=["kid"], childrenIds=["kid"])
    assert await state(client, "root") == "waiting-children"
    await client.good("UpdateParent", childId="kid", parentId="root")
    assert await state(client, "root") == "waiting"
    assert (await client.good("GetIgnoredChildrenFailures", id="root"))["values"] == {"q:kid": "kid broke"}


async def test_a_parent_that_went_on_can_wait_for_the_other_children_and_read_them(client: WireClient) -> None:
    await client.good(
        "PUSHF",
        jobs=[
            node("root", "bad", "slow", queue="roots"),
            *[node(id, parent="root", up="roots", continueParentOnFailure=True) for id in ("bad", "slow")],
        ],
    )
    assert await run(client, 1, fail=("bad",)) == ["bad"]
    pulled = await client.good("PULL", queue="roots", owner="w")
    await client.good("MoveToWaitingChildren", id="root", token=pulled["token"])
    assert await state(client, "root") == "waiting-children"
    assert (await client.call("ACK", id="root", token=pulled["token"]))["code"] == "lock_lost"
    assert await run(client, 1) == ["slow"]
    assert await state(client, "root") == "waiting"
    assert (await client.good("GetChildrenValues", id="root"))["data"]["values"] == {"q:slow": {"from": "slow"}}


async def test_a_poll_gets_the_parent_when_its_last_child_completes(connect: Connect) -> None:
    client, poller = await connect(), await connect()
    await client.good("PUSHF", jobs=[node("root", "leaf", queue="roots"), node("leaf", parent="root", up="roots")])
    await poller.send({"cmd": "PULL", "queue": "roots", "owner": "w", "timeout": 30_000})
    await run(client, 1)
    assert (await poller.read())["job"]["id"] == "root"


async def test_a_refused_flow_leaves_nothing(client: WireClient) -> None:
    await client.good("PUSH", queue="q", name="n", data=1, jobId="taken")
    nodes = [node("root", "taken", queue="new"), node("taken", parent="root", up="new")]
    assert (await client.call("PUSHF", jobs=nodes))["error"] == "Flow job taken already exists"
    assert await state(client, "root") == "unknown"
    assert (await client.good("ListQueues"))["queues"] == ["q"]


async def test_a_released_parent_is_told_in_an_event(connect: Connect) -> None:
    client, listener = await connect(), await connect()
    await listener.good("SubscribeEvents", queue="roots")
    await client.good("PUSHF", jobs=[node("root", "leaf", queue="roots"), node("leaf", parent="root", up="roots")])
    await client.good("RemoveChildDependency", id="leaf")
    heard = [(await listener.read())["event"] for _ in range(2)]
    assert [(event["eventType"], event.get("prev")) for event in heard] == [
        ("pushed", None),
        ("waiting", "waiting-children"),
    ]
