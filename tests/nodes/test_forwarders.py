"""Which forwarders are on the hub, when forward nodes come, go and change while others do."""

from __future__ import annotations

import signal

import pytest

from support.hub_process import HubProcess
from support.node_red import Node, NodeRed, function, inject, node, server, tab
from support.waiting import until
from support.wire import WireClient

pytestmark = pytest.mark.slow


async def owners(hub: HubProcess) -> dict[str, str]:
    """By queue: the name of its forwarder."""
    wire = await WireClient.open(hub.port)
    found = (await wire.good("Forwarders"))["forwarders"]
    await wire.close()
    return {each["queue"]: each["name"] for each in found}


def forward(id: str, to: str, queue: str) -> Node:
    return node(id, "hubqueue-forward", server="hub", to=to, queue=queue)


async def test_two_nodes_change_places(hub: HubProcess, central: HubProcess, red: NodeRed) -> None:
    async def are(one: str, other: str) -> bool:
        found = {queue: name.split(":")[1] for queue, name in (await owners(hub)).items()}
        return found == {one: "one", other: "other"}

    def both(one: str, other: str) -> list[Node]:
        return [tab(), server(hub.port), forward("one", central.url, one), forward("other", central.url, other)]

    red.deploy(both("a", "b"))
    await until(lambda: are("a", "b"))
    red.deploy(both("b", "a"), "nodes")
    await until(lambda: are("b", "a"))


async def test_a_node_that_is_deleted_before_its_hub_has_answered_leaves_nothing(
    hub: HubProcess, central: HubProcess, red: NodeRed
) -> None:
    rest = [
        tab(),
        server(hub.port),
        inject("ask", "control"),
        node("control", "hubqueue-control", "told", server="hub", action="queues"),
        function("told", "seen('answered');"),
    ]
    red.deploy(rest)
    red.inject("ask")
    red.wait_seen(1)
    hub.signal(signal.SIGSTOP)
    try:
        red.deploy([*rest, forward("gone", central.url, "q")], "nodes")
        red.deploy(rest, "nodes")
    finally:
        hub.signal(signal.SIGCONT)
    for count in (2, 3):  # by then what the node had asked before it went has been answered
        red.inject("ask")
        red.wait_seen(count)
    assert await owners(hub) == {}
