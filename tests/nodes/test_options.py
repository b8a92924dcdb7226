"""The options of a job through a real Node-RED and a real hub: said in msg.enqueue, read again by the control node."""

from __future__ import annotations

from typing import Any, Final

import pytest

from hubqueue.model.option import Door
from hubqueue.model.options import options_at
from support.hub_process import HubProcess
from support.node_red import Node, NodeRed, enqueue, function, inject, node, result, server, tab, worker

pytestmark = pytest.mark.slow

SAID: Final[dict[str, Any]] = {
    "id": "mine",
    "priority": 7,
    "delay": "1m",
    "attempts": 9,
    "backoff": {"type": "fixed", "delay": 2500, "max": 60_000, "jitter": 0.5},
    "timeout": 30_000,
    "ttl": 600_000,
    "keepTrying": 900_000,
    "stallTimeout": 45_000,
    "lifo": True,
    "durable": True,
    "dedup": {"key": "k", "ttl": 120_000, "extend": True, "replace": True},
    "removeOnComplete": True,
    "removeOnFail": True,
    "tags": ["a", "b"],
    "group": "kitchen",
    "groupMaxSize": 5,
}
UNREAD: Final = {"delay", "groupMaxSize"}  # runAt says it; a bound of that moment
PUT: Final = "msg.enqueue = msg.payload.enqueue; msg.payload = {own: 1}; return msg;"


def flow(hub: HubProcess) -> list[Node]:
    return [
        tab(),
        server(hub.port),
        inject("in", "make"),
        function("make", PUT, "put"),
        enqueue("put", "read"),
        function("read", "seen(msg.enqueued); msg.action = 'get'; msg.payload = msg.enqueued.id; return msg;", "ask"),
        node("ask", "hubqueue-control", "tell", server="hub", action="", queue="", queueType="str"),
        function("tell", "seen(msg.payload);"),
        node("caught", "catch", "wrong", scope=None, uncaught=False),
        function("wrong", "seen(msg.error.code + ' ' + msg.error.message);"),
    ]


def put(red: NodeRed, options: dict[str, Any]) -> dict[str, Any]:
    """The job that it became, as the control node hands it out."""
    before = len(red.seen())
    red.inject("in", {"enqueue": options})
    receipt, job = red.wait_seen(before + 2)[before:]
    assert receipt["id"] == job["id"]
    return dict(job)


async def test_what_is_said_of_a_job_is_read_again_and_can_be_said_again(hub: HubProcess, red: NodeRed) -> None:
    red.deploy(flow(hub))
    job = put(red, SAID)
    assert {name: job.get(name) for name in SAID.keys() - UNREAD} == {name: SAID[name] for name in SAID.keys() - UNREAD}
    assert (job["state"], job["attemptsMade"], job["data"]) == ("delayed", 0, {"own": 1})
    assert job["runAt"] - job["createdAt"] == 60_000
    names = {option.json for option in options_at(Door.NODE_RED)}
    again = {name: value for name, value in job.items() if name in names} | {"id": "again", "dedup": {"key": "other"}}
    second = put(red, again)
    assert {name: second.get(name) for name in again} == again
    unsaid = put(red, {"delay": 1})  # an option that a job does not have is not there
    assert unsaid.keys() & names == {"id", "priority", "attempts", "runAt", "durable"}


PARTS: Final[list[tuple[str, Any, dict[str, Any]]]] = [
    ("backoff", "5s", {"delay": 5000}),
    ("backoff", 100, {"delay": 100}),
    ("backoff", {"type": "fixed"}, {"type": "fixed"}),
    ("backoff", {"delay": "7s"}, {"delay": 7000}),
    ("backoff", {"max": "1m"}, {"max": 60_000}),
    ("backoff", {"jitter": 0.5}, {"jitter": 0.5}),
    ("backoff", {"type": "fixed", "max": "1m"}, {"type": "fixed", "max": 60_000}),
    ("dedup", "k1", {"key": "k1"}),
    ("dedup", {"key": "k2"}, {"key": "k2"}),
    ("dedup", {"key": "k3", "ttl": "1m"}, {"key": "k3", "ttl": 60_000}),
    ("dedup", {"key": "k4", "replace": True}, {"key": "k4", "replace": True}),
]


async def test_of_an_option_with_parts_some_can_be_said(hub: HubProcess, red: NodeRed) -> None:
    """What is not said is as the table has it."""
    red.deploy(flow(hub))
    tried = {name for name, _, _ in PARTS}
    assert tried == {option.json for option in options_at(Door.NODE_RED) if option.parts} - {"parent"}  # needs all
    unsaid = {"backoff": {"type": "exponential", "delay": 1000, "max": 3_600_000, "jitter": 1}, "dedup": {}}
    for name, said, part in PARTS:
        assert put(red, {name: said})[name] == unsaid[name] | part


async def test_a_form_for_a_wait_is_taken_as_it_is_typed(hub: HubProcess, red: NodeRed) -> None:
    typed = {"backoff": "5s"}
    nodes = [each | typed if each["id"] == "put" else each for each in flow(hub)]
    red.deploy(nodes)
    assert put(red, {})["backoff"]["delay"] == 5000


async def test_a_job_whose_lease_is_short_stays_with_its_flow(hub: HubProcess, red: NodeRed) -> None:
    look = function("look", "seen({took: msg.job.id}); setTimeout(() => node.send(msg), 5000); return null;", "done")
    red.deploy([*flow(hub), worker("work", "look"), look, result("done", "after"), function("after", "seen('done');")])
    red.inject("in", {"enqueue": {"stallTimeout": "1s", "attempts": 1}})
    red.wait_for(lambda: "done" in red.seen())
    assert len([told for told in red.seen() if isinstance(told, dict) and "took" in told]) == 1


async def test_a_parent_waits_for_its_child_whose_worker_sees_its_own_data(hub: HubProcess, red: NodeRed) -> None:
    red.deploy(flow(hub))
    above = put(red, {"id": "above", "delay": "1h"})
    assert above["state"] == "delayed"
    tie = {"parent": {"queue": "q", "id": "above"}, "onFailure": "ignore"}
    child = put(red, {"id": "below", "delay": "1h", **tie})
    assert {name: child.get(name) for name in tie} == tie
    assert child["data"] == {"own": 1}
    red.inject("in", {"enqueue": {"parent": {"queue": "q", "id": "nobody"}}})
    assert red.wait_seen(5)[4].startswith("HQ_NOT_FOUND ")
    nodes = [each | {"queue": "child"} if each["id"] == "put" else each for each in flow(hub)]
    red.deploy([*nodes, worker("work", "look", queue="child"), function("look", "seen({took: msg});")])
    before = len(red.seen())
    red.inject("in", {"enqueue": tie})
    took = red.wait_for(lambda: [told["took"] for told in red.seen()[before:] if "took" in told])[0]
    assert (took["payload"], took["job"]["parent"]) == ({"own": 1}, tie["parent"])


async def test_a_job_with_a_parent_has_an_object_as_its_payload(hub: HubProcess, red: NodeRed) -> None:
    nodes = [each | {"func": PUT.replace("{own: 1}", "5")} if each["id"] == "make" else each for each in flow(hub)]
    red.deploy(nodes)
    red.inject("in", {"enqueue": {"parent": {"queue": "q", "id": "above"}}})
    assert red.wait_seen(1)[0].startswith("HQ_INVALID HubqueueError: a job with a parent needs data that is an object")
    red.inject("in", {"enqueue": {"maxAttempts": 5}})
    assert (
        red.wait_seen(2)[1] == 'HQ_INVALID HubqueueError: msg.enqueue has no option "maxAttempts" (attempts is meant?)'
    )
