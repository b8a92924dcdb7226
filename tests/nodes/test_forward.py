"""The forward node between two real hubs: stored here, delivered there, and told about."""

from __future__ import annotations

from typing import Any

import pytest

from hubqueue import Client
from support.hub_process import HubProcess
from support.node_red import Node, NodeRed, function, inject, node, server, tab
from support.ports import free_port
from support.waiting import until
from support.wire import WireClient

pytestmark = pytest.mark.slow


OUTCOME = "seen(['outcome', msg.topic, msg.payload.state, msg.forward && msg.forward.headers]);"


def flow(hub: HubProcess, to: str, **fields: Any) -> list[Node]:
    standard = {"server": "hub", "to": to, "target": "inbox", "queue": "outbox", "dedup": "", "dedupType": "str"}
    return [
        tab(),
        server(hub.port),
        inject("in", "make"),
        function("make", "msg.enqueue = {headers: {n: String(msg.payload)}}; return msg;", "send"),
        node("send", "hubqueue-forward", ["stored"], ["outcome"], **{**standard, **fields}),
        function("stored", "seen(['stored', msg.payload]);"),
        function("outcome", "if (msg.payload.state !== 'link') " + OUTCOME),
        node("caught", "catch", "wrong", scope=["send"], uncaught=False),
        function("wrong", "if (!msg.error.code.startsWith('HQ_TARGET_')) seen(['error', msg.error.code]);"),
    ]


async def test_messages_are_stored_delivered_and_told(hub: HubProcess, central: HubProcess, red: NodeRed) -> None:
    red.deploy(flow(hub, central.url))
    for number in range(3):
        red.inject("in", number)
    told = red.wait_seen(6)
    assert [each[1] for each in told if each[0] == "stored"] == [0, 1, 2]
    outcomes = [each[1:] for each in told if each[0] == "outcome"]
    assert sorted(outcomes, key=str) == [["inbox", "delivered", {"n": str(number)}] for number in range(3)]
    async with Client(central.url) as there:
        assert [view.data async for view in there.queue("inbox").jobs("waiting")] == [0, 1, 2]


async def test_a_hub_that_is_away_gets_everything_later_in_order(
    hub: HubProcess, central: HubProcess, red: NodeRed
) -> None:
    central.stop()
    red.deploy(flow(hub, central.url))
    for number in range(20):
        red.inject("in", number)
    red.wait_seen(20)
    central.start()
    red.wait_seen(40)
    async with Client(central.url) as there:
        assert [view.data async for view in there.queue("inbox").jobs("waiting")] == list(range(20))
    async with Client(hub.url) as here:
        counts = await here.queue("outbox").counts()
    assert (counts.waiting, counts.completed) == (0, 0)  # what was delivered is not kept


@pytest.mark.parametrize(("when_full", "kept"), [("refuse", [0, 1]), ("drop", [1, 2])])
async def test_a_full_buffer_refuses_or_drops_and_says_so(
    hub: HubProcess, red: NodeRed, when_full: str, kept: list[int]
) -> None:
    red.deploy(flow(hub, f"tcp://127.0.0.1:{free_port()}", limit="2", whenFull=when_full))
    for number in range(3):
        red.inject("in", number)
        red.wait_for(lambda number=number: len(red.seen()) > number)
    if when_full == "refuse":
        assert red.seen()[2] == ["error", "HQ_QUEUE_FULL"]
    else:
        assert sorted(red.wait_seen(4)[2:], key=str) == [["outcome", "inbox", "dropped", {"n": "0"}], ["stored", 2]]
    async with Client(hub.url) as here:
        left = [view.data async for view in here.queue("outbox").jobs("waiting", "active")]
    assert left == kept


async def test_a_message_that_expired_is_told(hub: HubProcess, red: NodeRed) -> None:
    red.deploy(flow(hub, f"tcp://127.0.0.1:{free_port()}", ttl="1s"))
    red.inject("in", 1)
    assert red.wait_seen(2)[1] == ["outcome", "inbox", "expired", {"n": "1"}]


async def test_a_message_that_was_tried_long_enough_is_told_as_failed_and_what_becomes_of_it_then(
    hub: HubProcess, central: HubProcess, red: NodeRed
) -> None:
    central.stop()
    nodes = flow(hub, central.url)
    (make,) = [each for each in nodes if each["id"] == "make"]
    make["func"] = "msg.enqueue = {keepTrying: '3s', headers: {n: String(msg.payload)}}; return msg;"
    red.deploy(nodes)
    red.inject("in", 1)
    assert red.wait_seen(2)[1] == ["outcome", "inbox", "failed", {"n": "1"}]
    async with Client(hub.url) as here:
        (dead,) = [view async for view in here.queue("outbox").jobs("failed")]
    assert dead.job.history.reason == "ttl_expired"
    central.start()
    wire = await WireClient.open(hub.port)
    await wire.good("ForwarderDrain", name="node-red:send")

    async def linked() -> bool:
        (forwarder,) = (await wire.good("Forwarders"))["forwarders"]
        return bool(forwarder["link"] == "up")

    await until(linked)  # or its time might be over again
    await wire.good("RetryDlq", queue="outbox")
    await wire.close()
    assert red.wait_seen(3)[2] == ["outcome", "inbox", "delivered", None]


async def test_a_deleted_node_leaves_no_forwarder(hub: HubProcess, central: HubProcess, red: NodeRed) -> None:
    nodes = flow(hub, central.url)
    red.deploy(nodes)
    red.inject("in", 1)
    red.wait_seen(2)
    wire = await WireClient.open(hub.port)
    assert [each["name"] for each in (await wire.good("Forwarders"))["forwarders"]] == ["node-red:send"]
    red.deploy([each for each in nodes if each["id"] != "send"], "nodes")
    assert (await wire.good("Forwarders"))["forwarders"] == []
    await wire.close()
