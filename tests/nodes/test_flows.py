"""Jobs through a real Node-RED with the packed nodes: what users wire first."""

from __future__ import annotations

from typing import Any

import pytest

from hubqueue import Client
from support.hub_process import HubProcess
from support.node_red import Node, NodeRed, enqueue, function, inject, node, result, server, tab, worker
from support.waiting import PATIENCE_S, until

pytestmark = pytest.mark.slow

ALL_TYPES = {"server", "enqueue", "worker", "result", "forward", "control", "events"}


def test_the_packed_nodes_are_loaded(red: NodeRed) -> None:
    (found,) = [each for each in red.request("GET", "/nodes") if each["module"] == "@hubqueue/node-red-hubqueue"]
    assert (found["enabled"], found.get("err")) == (True, None)
    assert set(found["types"]) == {f"hubqueue-{each}" for each in ALL_TYPES}


async def test_a_message_becomes_a_job_and_a_message_again(hub: HubProcess, red: NodeRed, client: Client) -> None:
    red.deploy(
        [
            tab(),
            server(hub.port),
            inject("in", "make"),
            function(
                "make", "msg.topic = 'greet'; msg.enqueue = {headers: {lang: 'de'}, tags: ['t']}; return msg;", "put"
            ),
            enqueue("put", "stored"),
            function("stored", "seen({stored: msg.enqueued, gone: msg.enqueue === undefined});"),
            worker("work", "look"),
            function("look", "seen(msg); msg.payload = {answer: 42}; return msg;", "end"),
            result("end", "after"),
            function("after", "seen({after: msg.job});"),
        ]
    )
    red.inject("in", {"n": 1})
    stored, job, after = sorted(red.wait_seen(3), key=lambda told: ("after" in told, "payload" in told))
    assert stored["stored"] == {"id": stored["stored"]["id"], "queue": "q", "duplicate": False}
    assert stored["gone"]
    assert (job["payload"], job["topic"]) == ({"n": 1}, "greet")
    facts = job["job"]
    assert (facts["id"], facts["queue"], facts["server"]) == (stored["stored"]["id"], "q", "hub")
    assert (facts["attemptsMade"], facts["attempts"], facts["redelivered"]) == (0, 3, False)
    assert (facts["headers"], facts["tags"]) == ({"lang": "de"}, ["t"])
    assert facts["deadline"] > facts["createdAt"]
    assert (after["after"]["outcome"], "token" in after["after"]) == ("complete", False)
    assert await client.queue("q").job(facts["id"]).result(PATIENCE_S) == {"answer": 42}


VALUES = """
msg.payload = {
  buffer: Buffer.from([0, 255, 7]), date: new Date(1700000000123), gone: undefined, list: [undefined, 1],
  at: 1700000000123,
  edge: 2 ** 53, safe: Number.MAX_SAFE_INTEGER, below: -(2 ** 40), big: 2n ** 62n, text: 'ä€𝄞', zero: 0.5,
  nothing: null,
};
return msg;
"""
LOOK = """
const p = msg.payload;
seen({
  buffer: Buffer.isBuffer(p.buffer) && p.buffer.toString('hex'), date: p.date instanceof Date && p.date.getTime(),
  gone: 'gone' in p, list: p.list, at: p.at,
  edge: p.edge === 2 ** 53, safe: p.safe === Number.MAX_SAFE_INTEGER, below: p.below,
  big: String(p.big), text: p.text, zero: p.zero, nothing: p.nothing,
});
return msg;
"""


def test_values_survive_the_way(hub: HubProcess, red: NodeRed) -> None:
    red.deploy(
        [
            tab(),
            server(hub.port),
            inject("in", "make"),
            function("make", VALUES, "put"),
            enqueue("put"),
            worker("work", "look"),
            function("look", LOOK, "end"),
            result("end"),
        ]
    )
    red.inject("in")
    (seen,) = red.wait_seen(1)
    assert seen == {
        "buffer": "00ff07",
        "date": 1700000000123,
        "gone": False,
        "list": [None, 1],
        "at": 1700000000123,
        "edge": True,
        "safe": True,
        "below": -(2**40),
        "big": str(2**62),
        "text": "ä€𝄞",
        "zero": 0.5,
        "nothing": None,
    }


def test_a_whole_message_comes_back_whole(hub: HubProcess, red: NodeRed) -> None:
    red.deploy(
        [
            tab(),
            server(hub.port),
            inject("in", "make"),
            function(
                "make",
                "msg.headers = {a: 1}; msg.parts = {id: 'x'}; msg.req = {}; msg.topic = 'mine'; return msg;",
                "put",
            ),
            enqueue("put", store="message"),
            worker("work", "look"),
            function("look", "seen(msg); return msg;", "end"),
            result("end"),
        ]
    )
    red.inject("in", "p")
    (seen,) = red.wait_seen(1)
    assert {key: seen.get(key) for key in ("payload", "topic", "headers", "parts", "req")} == {
        "payload": "p",
        "topic": "mine",
        "headers": {"a": 1},
        "parts": {"id": "x"},
        "req": None,
    }


async def test_a_backlog_never_exceeds_the_concurrency(hub: HubProcess, red: NodeRed, client: Client) -> None:
    await client.queue("q").add_many([("job", number) for number in range(1000)])
    code = """
      const now = (flow.get('now') || 0) + 1;
      flow.set('now', now);
      flow.set('most', Math.max(flow.get('most') || 0, now));
      setTimeout(() => { flow.set('now', flow.get('now') - 1); node.send(msg); node.done(); }, 2);
    """
    red.deploy(
        [
            tab(),
            server(hub.port),
            worker("work", "run", concurrency="3"),
            function("run", code, "end"),
            result("end", "count"),
            function("count", "seen(flow.get('most'));"),
        ]
    )
    assert max(red.wait_seen(1000)) == 3
    counts = await client.queue("q").counts()
    assert (counts.completed, counts.active, counts.waiting) == (1000, 0, 0)


async def test_one_at_a_time_per_group_in_order(hub: HubProcess, red: NodeRed) -> None:
    code = """
      const tell = (word) => seen([msg.payload.key, msg.payload.n, word]);
      tell('begin');
      setTimeout(() => { tell('end'); node.send(msg); }, 20);
    """
    red.deploy(
        [
            tab(),
            server(hub.port),
            inject("in", "put"),
            enqueue("put", group="payload.key", groupType="msg"),
            worker("work", "run", concurrency="4", perGroup="1"),
            function("run", code, "end"),
            result("end"),
        ]
    )
    for number in range(5):
        for key in ("a", "b"):
            red.inject("in", {"key": key, "n": number})
    told = red.wait_seen(20)
    for key in ("a", "b"):
        assert [each[1:] for each in told if each[0] == key] == [
            [n, word] for n in range(5) for word in ("begin", "end")
        ]


async def test_a_catch_node_makes_it_fail_and_dead_letters_are_replayed(
    hub: HubProcess, red: NodeRed, client: Client
) -> None:
    flow: list[Node] = [
        tab(),
        server(hub.port),
        worker("work", "run"),
        function("run", "if (global.get('broken') !== false) { throw new Error('it is broken'); } return msg;", "good"),
        result("good", "tell"),
        node("caught", "catch", "bad", scope=["run"], uncaught=False),
        result("bad", "tell", outcome="reject"),
        function("tell", "seen([msg.job.outcome, msg.job.attemptsMade, msg.error && msg.error.message]);"),
        inject("replay", "repair"),
        function("repair", "global.set('broken', false); msg.payload = {}; return msg;", "ask"),
        node("ask", "hubqueue-control", "answer", server="hub", action="retryDead", queue="q", queueType="str"),
        function("answer", "seen(msg.payload);"),
    ]
    red.deploy(flow)
    await client.queue("q").add("job", 1)
    assert red.wait_seen(1) == [["reject", 0, "Error: it is broken"]]
    (dead,) = [each async for each in client.queue("q").dead()]
    assert "it is broken" in str(dead.error)
    red.inject("replay")
    rest = red.wait_seen(3)[1:]
    assert {"queue": "q", "count": 1} in rest
    assert next(each for each in rest if isinstance(each, list))[0] == "complete"


@pytest.mark.parametrize("wired", ["output", "complete"])
async def test_complete_and_output_wires_both_settle(hub: HubProcess, red: NodeRed, client: Client, wired: str) -> None:
    flow: list[Node] = [tab(), server(hub.port), worker("work", "run"), result("end")]
    if wired == "output":
        flow.append(function("run", "await null; return msg;", "end"))
    else:
        flow += [function("run", "await null;"), node("done", "complete", "end", scope=["run"])]
    red.deploy(flow)
    handle = await client.queue("q").add("job", "x")
    assert await handle.result(PATIENCE_S) == "x"


async def test_fan_out_and_join(hub: HubProcess, red: NodeRed, client: Client) -> None:
    join: dict[str, Any] = {"mode": "custom", "build": "array", "property": "enqueued.id", "propertyType": "msg"}
    red.deploy(
        [
            tab(),
            server(hub.port),
            inject("in", "split"),
            node("split", "split", "put", splt="\\n", spltType="str", arraySplt=1, arraySpltType="len"),
            enqueue("put", "gather", queue="parts"),
            node("gather", "join", "parent", **join, count="3", joiner="\\n", joinerType="str"),
            function(
                "parent", "return {payload: 'sum', enqueue: {dependsOn: msg.enqueued.id ?? msg.payload}};", "putall"
            ),
            enqueue("putall", queue="sums"),
            worker("parts", "double", queue="parts", concurrency="3"),
            function("double", "msg.payload *= 2; return msg;", "end1"),
            result("end1"),
            worker("sums", "add", queue="sums"),
            function("add", "seen(Object.values(msg.children).reduce((a, b) => a + b)); return msg;", "end2"),
            result("end2"),
        ]
    )
    red.inject("in", [1, 2, 3])
    assert red.wait_seen(1) == [12]


async def test_a_wait_that_cannot_be_read_leaves_no_job_to_its_timeout(
    hub: HubProcess, red: NodeRed, client: Client
) -> None:
    red.deploy(
        [
            tab(),
            server(hub.port),
            worker("work", "try", timeout="1h"),
            function(
                "try",
                "msg.wait = msg.payload; return msg.job.attemptsMade === 0 ? [msg, null] : [null, msg];",
                ["later"],
                ["end"],
            ),
            result("later", outcome="retry", delay="wait", delayType="msg", error="$error('no')", errorType="jsonata"),
            result("end"),
        ]
    )
    waits = ["soon", -1, {}, "400d"]
    handles = [await client.queue("q").add("job", wait, backoff=0.01) for wait in waits]
    for handle, wait in zip(handles, waits, strict=True):
        assert await handle.result(PATIENCE_S) == wait
        assert (await client.queue("q").get(handle.id)).job.attempts == 1
    for handle in handles:
        told = [line for line in red.log().splitlines() if handle.id in line]
        assert len(told) == 2  # of the wait and of the error
        assert all("[warn] [hubqueue-result:later]" in line for line in told)


async def test_the_queue_can_be_steered(hub: HubProcess, red: NodeRed, client: Client) -> None:
    red.deploy(
        [
            tab(),
            server(hub.port),
            inject("in", "make"),
            function("make", "msg.action = msg.payload.action; msg.payload = msg.payload.args; return msg;", "ask"),
            node("ask", "hubqueue-control", "tell", server="hub", action="", queue="", queueType="str"),
            function("tell", "seen(msg.payload);"),
            node("caught", "catch", "wrong", scope=["ask"], uncaught=False),
            function("wrong", "seen(msg.error.code);"),
        ]
    )
    handles = await client.queue("q").add_many([("a", 1), ("b", 2)])

    def ask(action: str, args: Any = None) -> Any:
        before = len(red.seen())
        red.inject("in", {"action": action, "args": args or {}})
        return red.wait_seen(before + 1)[-1]

    assert ask("pause", {"queue": "q"}) == {"queue": "q", "paused": True}
    assert (await client.queue("q").counts()).paused
    assert ask("resume", {"queue": "q"}) == {"queue": "q", "paused": False}
    assert ask("get", handles[0].id)["name"] == "a"
    assert [job["name"] for job in ask("list", {"queue": "q", "limit": 10})["jobs"]] == ["a", "b"]
    assert ask("stats", {"queue": "q"})["waiting"] == 2
    assert [each["queue"] for each in ask("queues")] == ["q"]
    assert ask("setConcurrency", {"queue": "q", "limit": 2})["concurrency"] == 2
    assert ask("setRate", {"queue": "q", "limit": 10, "per": "1m"}) == {"queue": "q", "rate": 10, "per": 60000}
    assert ask("cancel", handles[1].id) == {"id": handles[1].id, "cancelled": True}
    assert ask("purge", {"queue": "q", "what": "waiting"}) == "HQ_CONFIRM"
    assert ask("purge", {"queue": "q", "what": "waiting", "confirm": True}) == {"queue": "q", "count": 1}
    assert ask("Obliterate", {"queue": "q"}) == "HQ_INVALID"
    assert ask("get", "nobody") == "HQ_NOT_FOUND"


async def test_events_and_figures_are_told(hub: HubProcess, red: NodeRed, client: Client) -> None:
    red.deploy(
        [
            tab(),
            server(hub.port),
            node(
                "live",
                "hubqueue-events",
                "tell",
                server="hub",
                queue="q",
                queueType="str",
                mode="events",
                threshold="2",
            ),
            node(
                "stats",
                "hubqueue-events",
                "count",
                server="hub",
                queue="q",
                queueType="str",
                mode="stats",
                interval="1s",
            ),
            function("tell", "seen([msg.topic, msg.payload.id, msg.payload.seq, msg.job && msg.job.token]);"),
            function("count", "seen({waiting: msg.payload.waiting, completed: msg.payload.completed});"),
            worker("work", "end", paused=True),
            result("end"),
        ]
    )
    red.wait_for(lambda: {"waiting": 0, "completed": 0} in red.seen())
    handles = await client.queue("q").add_many([("a", 1), ("b", 2)])
    red.wait_for(lambda: "threshold" in [each[0] for each in red.seen() if isinstance(each, list)])
    assert red.request("POST", "/hubqueue/worker/work/toggle") == {"paused": False}
    events = red.wait_for(
        lambda: (
            [each for each in red.seen() if isinstance(each, list)]
            if "empty" in [each[0] for each in red.seen() if isinstance(each, list)]
            else None
        )
    )
    first = handles[0].id
    assert [each[0] for each in events if each[1] == first] == ["enqueued", "active", "completed"]
    numbers = [each[2] for each in events]
    assert numbers == sorted(set(numbers))
    assert all(each[3] is None for each in events)
    await until(lambda: {"waiting": 0, "completed": 2} in red.seen())
