"""Deploys while jobs are in flight: they go back, or are settled, and never cost an attempt."""

from __future__ import annotations

import signal

import pytest

from hubqueue import Client
from support.hub_process import HubProcess
from support.node_red import Node, NodeRed, enqueue, function, inject, node, result, server, tab, worker
from support.waiting import PATIENCE_S, until

pytestmark = pytest.mark.slow

# holds every job until `release` is injected, then lets it go on
HOLD = """
const held = global.get('held') || [];
seen(['took', msg.payload, msg.job.attemptsMade, msg.job.redelivered]);
if (global.get('open')) { return msg; }
held.push(() => { node.send(msg); });
global.set('held', held);
"""
OPEN = "global.set('open', true); for (const go of global.get('held') || []) { go(); } global.set('held', []);"


def flow(port: int, **fields: str) -> list[Node]:
    return [
        tab(),
        tab("t2"),
        server(port),
        worker("work", "hold", **fields),
        function("hold", HOLD, "end"),
        result("end", "tell"),
        function("tell", "seen(['end', msg.payload, msg.job.outcome]);"),
        inject("open", "let", z="t2"),
        function("let", OPEN, z="t2"),
        node("caught", "catch", "wrong", scope=None, uncaught=False),
        function("wrong", "seen(['error', msg.error.code]);"),
    ]


def changed(nodes: list[Node], id: str, **fields: object) -> list[Node]:
    return [{**each, **fields} if each["id"] == id else each for each in nodes]


@pytest.mark.parametrize("kind", ["full", "flows"])
async def test_a_deploy_that_ends_the_flow_gives_its_jobs_back(
    hub: HubProcess, red: NodeRed, client: Client, kind: str
) -> None:
    nodes = flow(hub.port, concurrency="2")
    red.deploy(nodes)
    handles = await client.queue("q").add_many([("a", 1), ("b", 2), ("c", 3)])
    red.wait_seen(2)
    red.deploy(changed(nodes, "hold", name="another"), kind)
    again = red.wait_seen(4)[2:]
    assert sorted(again) == [["took", 1, 0, False], ["took", 2, 0, False]]  # given back: nothing was counted
    red.inject("open")
    for handle, number in zip(handles, (1, 2, 3), strict=True):
        assert await handle.result(PATIENCE_S) == number
        view = await client.queue("q").get(handle.id)
        assert view.job.attempts == 0
    assert [told for told in red.seen() if told[0] == "error"] == []


async def test_modified_nodes_are_deployed_around_jobs_in_flight(hub: HubProcess, red: NodeRed, client: Client) -> None:
    nodes = flow(hub.port, concurrency="2")
    red.deploy(nodes)
    handles = await client.queue("q").add_many([(str(number), number) for number in range(5)])
    red.wait_seen(2)
    red.deploy(changed(nodes, "work", concurrency="3"), "nodes")
    red.wait_seen(3)  # one more: the two in flight count
    counts = await client.queue("q").counts()
    assert (counts.active, counts.waiting) == (3, 2)
    red.inject("open")
    for handle in handles:
        await handle.result(PATIENCE_S)
    took = [told[1] for told in red.seen() if told[0] == "took"]
    assert sorted(took) == [0, 1, 2, 3, 4]  # each once
    assert [told for told in red.seen() if told[0] == "error"] == []


async def test_a_lower_concurrency_waits_for_the_jobs_in_flight(hub: HubProcess, red: NodeRed, client: Client) -> None:
    nodes = flow(hub.port, concurrency="3")
    red.deploy(nodes)
    await client.queue("q").add_many([(str(number), number) for number in range(6)])
    red.wait_seen(3)
    code = "const held = global.get('held'); if (held.length) { held.shift()(); }"
    stepping = [inject("one", "next", z="t2"), function("next", code, z="t2")]
    red.deploy([*changed(nodes, "work", concurrency="1"), *stepping], "nodes")
    for done in (1, 2):
        red.inject("one")
        red.wait_for(lambda done=done: len([told for told in red.seen() if told[0] == "end"]) == done)
    counts = await client.queue("q").counts()
    assert (counts.active, counts.waiting, counts.completed) == (1, 3, 2)
    red.inject("open")
    await until(lambda: len([told for told in red.seen() if told[0] == "end"]) == 6)


@pytest.mark.parametrize("change", ["deleted", "disabled"])
async def test_without_its_server_node_the_jobs_go_back(
    hub: HubProcess, red: NodeRed, client: Client, change: str
) -> None:
    nodes = flow(hub.port)
    red.deploy(nodes)
    await client.queue("q").add("a", 1)
    red.wait_seen(1)
    kept = [each for each in nodes if each["id"] != "hub"] if change == "deleted" else changed(nodes, "hub", d=True)
    red.deploy(kept, "nodes")

    async def back() -> bool:
        counts = await client.queue("q").counts()
        return (counts.waiting, counts.active) == (1, 0)

    await until(back)
    (view,) = [each async for each in client.queue("q").jobs("waiting")]
    assert view.job.attempts == 0


async def test_a_changed_server_node_keeps_the_jobs_of_its_hub(hub: HubProcess, red: NodeRed, client: Client) -> None:
    nodes = flow(hub.port, concurrency="5")
    red.deploy(nodes)
    handles = await client.queue("q").add_many([(str(number), number) for number in range(8)])
    red.wait_seen(5)
    red.deploy(changed(nodes, "hub", bufferMessages="7"), "nodes")
    red.deploy(changed(nodes, "hub", bufferMessages="8"), "nodes")
    assert (await client.queue("q").counts()).active == 5
    red.inject("open")
    for handle in handles:
        await handle.result(PATIENCE_S)
    told = red.wait_seen(16)
    assert sorted(each[1] for each in told if each[0] == "took") == list(range(8))  # each once
    assert sorted(each[1:] for each in told if each[0] == "end") == [[number, "complete"] for number in range(8)]
    assert red.log().count("connected host") == 1  # it is the same link


async def test_a_node_that_closes_slowly_costs_no_jobs(hub: HubProcess, red: NodeRed, client: Client) -> None:
    slow = function(
        "slow", "return msg;", initialize="node.on('close', (removed, done) => { setTimeout(done, 12000); });"
    )
    nodes = [*flow(hub.port), slow]
    red.deploy(nodes)
    handle = await client.queue("q").add("a", 1)
    red.wait_seen(1)
    red.deploy(changed(changed(nodes, "hub", clientName="another"), "slow", name="another"), "nodes")
    red.inject("open")
    assert await handle.result(PATIENCE_S) == 1
    assert [told[0] for told in red.wait_seen(2)] == ["took", "end"]
    assert red.log().count("connected host") == 1


async def test_events_are_told_after_a_deploy_of_the_server_node(hub: HubProcess, red: NodeRed, client: Client) -> None:
    nodes = [
        tab(),
        server(hub.port),
        node("events", "hubqueue-events", "tell", server="hub", queue="q", queueType="str", kinds=["enqueued"]),
        function("tell", "seen(msg.payload.kind);"),
    ]
    red.deploy(nodes)
    red.wait_for(lambda: "connected host" in red.log())
    red.deploy(changed(nodes, "hub", clientName="another"), "nodes")

    async def told() -> bool:
        await client.queue("q").add("a", 1)  # the subscription may come after the first
        return red.seen() != []

    await until(told)
    assert set(red.seen()) == {"enqueued"}


async def test_results_reach_the_hub_while_its_server_node_is_deployed(
    hub: HubProcess, red: NodeRed, client: Client
) -> None:
    nodes = flow(hub.port, concurrency="200")
    red.deploy(nodes)
    handles = await client.queue("q").add_many([(str(number), number) for number in range(200)])
    red.wait_seen(200)
    dribble = "const held = global.get('held') || []; const next = held.pop(); if (next) { next(); }"
    nodes = [*nodes, inject("drip", "one", z="t2", repeat="0.005", once=True), function("one", dribble, z="t2")]
    red.deploy(nodes, "nodes")
    for number in range(5):
        red.deploy(changed(nodes, "hub", clientName=f"name {number}"), "nodes")
    for handle in handles:
        await handle.result(PATIENCE_S)
    told = red.wait_seen(400)
    assert sorted(each[1] for each in told if each[0] == "took") == list(range(200))
    assert [each for each in told if each[0] == "error"] == []


async def test_a_job_timeout_goes_on_over_a_deploy_of_the_server_node(
    hub: HubProcess, red: NodeRed, client: Client
) -> None:
    nodes = flow(hub.port, timeout="2s")
    red.deploy(nodes)
    handle = await client.queue("q").add("a", 1)
    red.wait_seen(1)
    red.deploy(changed(nodes, "hub", clientName="another"), "nodes")
    assert red.wait_seen(2)[1][:3] == ["took", 1, 1]  # it has cost an attempt, as any timeout
    red.inject("open")
    assert await handle.result(PATIENCE_S) == 1


async def test_a_server_node_that_points_elsewhere_gives_the_jobs_back(
    hub: HubProcess, central: HubProcess, red: NodeRed, client: Client
) -> None:
    nodes = flow(hub.port, concurrency="2")
    red.deploy(nodes)
    handles = await client.queue("q").add_many([("a", 1), ("b", 2)])
    red.wait_seen(2)
    red.deploy(changed(nodes, "hub", port=str(central.port)), "nodes")

    async def back() -> bool:
        counts = await client.queue("q").counts()
        return (counts.waiting, counts.active) == (2, 0)

    await until(back)
    red.inject("open")
    red.wait_for(lambda: red.seen().count(["error", "HQ_LEASE_LOST"]) == 2)
    async with Client(central.url) as other:
        there = await other.queue("q").add("c", 3)
        assert await there.result(PATIENCE_S) == 3
    red.deploy(nodes, "nodes")
    for handle in handles:
        await handle.result(PATIENCE_S)
        assert (await client.queue("q").get(handle.id)).job.attempts == 0  # given back: nothing was counted


async def test_a_server_node_that_cannot_be_used_gives_the_jobs_back(
    hub: HubProcess, red: NodeRed, client: Client
) -> None:
    nodes = flow(hub.port)
    red.deploy(nodes)
    handle = await client.queue("q").add("a", 1)
    red.wait_seen(1)
    red.deploy(changed(nodes, "hub", bufferMessages="many"), "nodes")

    async def back() -> bool:
        counts = await client.queue("q").counts()
        return (counts.waiting, counts.active) == (1, 0)

    await until(back)
    red.deploy(nodes, "nodes")
    red.inject("open")
    assert await handle.result(PATIENCE_S) == 1
    assert (await client.queue("q").get(handle.id)).job.attempts == 0


async def test_a_server_node_is_put_right_before_its_link_has_ended(
    hub: HubProcess, red: NodeRed, client: Client
) -> None:
    nodes = flow(hub.port)
    red.deploy(nodes)
    handle = await client.queue("q").add("a", 1)
    red.wait_seen(1)
    hub.signal(signal.SIGSTOP)  # so that giving the job back takes as long as it may
    try:
        red.deploy(changed(nodes, "hub", bufferMessages="many"), "nodes")
        red.deploy(nodes, "nodes")
    finally:
        hub.signal(signal.SIGCONT)
    red.inject("open")
    assert await handle.result(PATIENCE_S) == 1


async def test_a_server_node_is_deployed_while_its_hub_is_away(hub: HubProcess, red: NodeRed) -> None:
    nodes = [*flow(hub.port, concurrency="2"), inject("in", "put", z="t2"), enqueue("put", z="t2", queue="later")]
    red.deploy(nodes)
    async with Client(hub.url) as client:
        handles = await client.queue("q").add_many([("a", 1), ("b", 2)])
    red.wait_seen(2)
    hub.kill()
    red.inject("in", "before")
    red.deploy(changed(nodes, "hub", clientName="another"), "nodes")
    red.inject("in", "after")
    red.inject("open")  # their results wait
    hub.start()
    red.deploy(nodes, "nodes")  # who deploys does not wait for the next try
    async with Client(hub.url) as client:
        for handle in handles:
            assert await client.queue("q").job(handle.id).result(PATIENCE_S) in (1, 2)

        async def stored() -> bool:
            return [view.data async for view in client.queue("later").jobs("waiting")] == ["before", "after"]

        await until(stored)
    assert sorted(each[1] for each in red.seen() if each[0] == "took") == [1, 2]


@pytest.mark.parametrize("kind", ["full", "flows", "nodes"])
async def test_a_deploy_does_not_wait_for_a_hub_that_hangs(hub: HubProcess, red: NodeRed, kind: str) -> None:
    nodes = flow(hub.port, concurrency="2")
    red.deploy(nodes)
    async with Client(hub.url) as client:
        handle = await client.queue("q").add("a", 1)
    red.wait_seen(1)
    hub.signal(signal.SIGSTOP)
    try:
        red.deploy(changed(nodes, "hub", clientName="another"), kind)
        assert "timed out" not in red.log()  # as Node-RED says of a node that takes more than 15 s to close
    finally:
        hub.signal(signal.SIGCONT)
    red.inject("open")
    async with Client(hub.url) as client:
        assert await client.queue("q").job(handle.id).result(PATIENCE_S) == 1
        assert (await client.queue("q").get(handle.id)).job.attempts == 0


async def test_a_changed_subflow_gives_its_jobs_back(hub: HubProcess, red: NodeRed, client: Client) -> None:
    inside = [
        {**worker("work", "hold"), "z": "sub"},
        {**function("hold", HOLD, "end"), "z": "sub"},
        {**result("end"), "z": "sub"},
    ]
    nodes = [
        tab(),
        server(hub.port),
        {"id": "sub", "type": "subflow", "name": "sub", "in": [], "out": [], "env": []},
        *inside,
        node("instance", "subflow:sub"),
        inject("open", "let"),
        function("let", OPEN),
    ]
    red.deploy(nodes)
    handle = await client.queue("q").add("a", 1)
    red.wait_seen(1)
    red.deploy(changed(nodes, "hub", clientName="another"), "nodes")  # all nodes of the subflow are made anew
    assert red.wait_seen(2)[1] == ["took", 1, 0, False]
    red.inject("open")
    assert await handle.result(PATIENCE_S) == 1


async def test_each_instance_of_a_subflow_has_its_own_jobs(hub: HubProcess, red: NodeRed, client: Client) -> None:
    env = [{"name": "QUEUE", "type": "str", "value": ""}]
    inside = [
        {**worker("work", "hold", queue="QUEUE", queueType="env", concurrency="2"), "z": "sub"},
        {**function("hold", HOLD, "end"), "z": "sub"},
        {**result("end"), "z": "sub"},
    ]
    instances = [
        node(f"of-{name}", "subflow:sub", env=[{"name": "QUEUE", "type": "str", "value": name}]) for name in ("a", "b")
    ]
    red.deploy(
        [
            tab(),
            server(hub.port),
            {"id": "sub", "type": "subflow", "name": "sub", "in": [], "out": [], "env": env},
            *inside,
            *instances,
            inject("open", "let"),
            function("let", OPEN),
        ]
    )
    handles = [
        handle
        for name in ("a", "b")
        for handle in await client.queue(name).add_many([(name, f"{name}{n}") for n in range(4)])
    ]
    took = red.wait_seen(4)
    assert sorted(told[1] for told in took) == ["a0", "a1", "b0", "b1"]
    for name in ("a", "b"):
        assert (await client.queue(name).counts()).active == 2
    red.inject("open")
    for handle in handles:
        await handle.result(PATIENCE_S)


async def test_stopping_node_red_gives_the_jobs_back_at_once(hub: HubProcess, red: NodeRed, client: Client) -> None:
    red.deploy(flow(hub.port, concurrency="2"))
    await client.queue("q").add_many([("a", 1), ("b", 2)])
    red.wait_seen(2)
    assert red.stop() == 0
    counts = await client.queue("q").counts()
    assert (counts.waiting, counts.active) == (2, 0)


@pytest.mark.parametrize("kind", ["full", "flows"])
async def test_a_deploy_does_not_wait_for_a_hub_that_is_away(hub: HubProcess, red: NodeRed, kind: str) -> None:
    nodes = flow(hub.port, concurrency="2")
    red.deploy(nodes)
    async with Client(hub.url) as client:
        handle = await client.queue("q").add("a", 1)
    red.wait_seen(1)
    hub.kill()
    red.deploy(changed(nodes, "hold", name="another"), kind)
    assert "timed out" not in red.log()  # as Node-RED says of a node that does not close
    hub.start()
    red.inject("open")
    async with Client(hub.url) as client:
        assert await client.queue("q").job(handle.id).result(PATIENCE_S) == 1
        assert (await client.queue("q").get(handle.id)).job.attempts == 0
