"""Values as a real function node makes them, in a realm of its own: each comes back equal or is refused in words."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hubqueue import Client
from support.hub_process import HubProcess
from support.node_red import Node, NodeRed, enqueue, function, inject, node, result, server, tab, tools, worker

pytestmark = pytest.mark.slow

LISTED = """
const { inspect } = require('node:util');
const { KEPT, REFUSED } = require(process.argv[1]);
const kept = KEPT.map(([source, back]) => [source, inspect(back, { depth: null })]);
console.log(JSON.stringify({ kept, refused: REFUSED }));
"""
# Node-RED itself cannot copy a proxy for a catch node
MAKE = """
for (const source of msg.payload) {
  node.send({ payload: eval('(' + source + ')'), topic: source }, false);
}
"""
TELL = "seen([msg.topic, util.inspect(msg.payload, { depth: null })]); return msg;"


@pytest.fixture(scope="module")
def listed() -> tuple[dict[str, str], list[str]]:
    """Sources of values with how what comes back looks; sources of what is refused."""
    program = tools() / "node_modules" / ".bin" / "node"
    script = Path(__file__).parent / "lib" / "generated.js"
    done = subprocess.run([str(program), "-e", LISTED, str(script)], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    return dict(found["kept"]), [source for source in found["refused"] if "Proxy" not in source]


def way(kind: str, hub: HubProcess, central: HubProcess, **fields: Any) -> list[Node]:
    """From the node `put` to the node `work`: over one hub, or from it to another one."""
    if kind == "enqueue":
        return [server(hub.port), enqueue("put", **fields), worker("work", "tell", concurrency="10")]
    forward = {"server": "hub", "to": central.url, "target": "q", "queue": "outbox", "dedup": "", "dedupType": "str"}
    return [
        server(hub.port),
        server(central.port, id="there"),
        node("put", "hubqueue-forward", [], [], **forward, **fields),
        worker("work", "tell", concurrency="10", server="there"),
    ]


@pytest.mark.parametrize("kind", ["enqueue", "forward"])
def test_every_value_comes_back_equal_or_is_refused(
    kind: str, hub: HubProcess, central: HubProcess, red: NodeRed, listed: tuple[dict[str, str], list[str]]
) -> None:
    kept, refused = listed
    red.deploy(
        [
            tab(),
            *way(kind, hub, central),
            inject("in", "make"),
            function("make", MAKE, "put"),
            node("caught", "catch", "wrong", scope=["put"], uncaught=False),
            function("wrong", "seen([msg.topic, msg.error.code, msg.error.message]);"),
            function("tell", TELL, "end"),
            result("end"),
        ]
    )
    red.inject("in", [*kept, *refused])
    told = red.wait_seen(len(kept) + len(refused))
    assert {each[0]: each[1] for each in told if len(each) == 2} == kept
    errors = {each[0]: each[1:] for each in told if len(each) == 3}
    assert errors.keys() == set(refused)
    for code, message in errors.values():
        assert code == "HQ_UNENCODABLE"
        assert "msg.payload cannot be stored: it is " in message


async def test_a_job_is_completed_whatever_its_result_is(
    hub: HubProcess, red: NodeRed, client: Client, listed: tuple[dict[str, str], list[str]]
) -> None:
    kept, refused = listed
    red.deploy(
        [
            tab(),
            server(hub.port),
            worker("work", "make", concurrency="10"),
            function("make", "msg.payload = eval('(' + msg.payload + ')'); node.send(msg, false);", "end"),
            result("end", "tell"),
            function("tell", "seen([msg.topic, msg.job.outcome, msg.job.resultError && msg.job.resultError.code]);"),
        ]
    )
    handles = await client.queue("q").add_many([(source, source) for source in (*kept, *refused)])
    told = red.wait_seen(len(handles))
    for source, state, code in told:
        assert (state, code) == ("complete", "HQ_UNENCODABLE" if source in refused else None), source
    counts = await client.queue("q").counts()
    assert (counts.completed, counts.waiting, counts.active, counts.delayed) == (len(handles), 0, 0, 0)
    assert red.log().count("is completed without its result") == len(refused)
    by_source = dict(zip((*kept, *refused), handles, strict=True))
    assert await by_source["new Uint8Array([1, 2, 255])"].result() == b"\x01\x02\xff"
    assert await by_source["new Float64Array([0.5, 1])"].result() == [0.5, 1]


FAIL = "msg.statusCode = 503; msg.headers = {'retry-after': '9'}; throw new Error('no');"


async def test_a_parked_failure_is_judged_by_its_next_attempt(hub: HubProcess, red: NodeRed, client: Client) -> None:
    red.deploy(
        [
            tab(),
            server(hub.port),
            inject("in", "fail"),
            function("fail", FAIL, "never"),
            node("caught", "catch", "park", scope=["fail"], uncaught=False),
            enqueue("park", store="message", attempts="2"),
            worker("work", "again"),
            function("again", "seen([msg.payload, 'error' in msg, msg.job.earlier]); return msg;", "end"),
            result("end", "tell", outcome="message"),
            function("tell", "seen(msg.job.outcome);"),
        ]
    )
    red.inject("in", "data")
    (worked, outcome) = red.wait_seen(2)
    assert worked[:2] == ["data", False]
    assert (worked[2]["statusCode"], worked[2]["retryAfter"]) == (503, "9")
    assert worked[2]["error"]["message"] == "Error: no"
    assert outcome == "complete"
    counts = await client.queue("q").counts()
    assert (counts.completed, counts.failed, counts.delayed) == (1, 0, 0)


MARK = """
const { topic, ...options } = msg.payload;
Object.assign(msg, { topic, enqueue: { ...options, group: 'k' }, payload: 1 });
return msg;
"""
LONG: dict[str, Any] = {
    "topic": "t/" * 500,
    "headers": {"authorization": "J" * 2000, "a=b": "c=d", "n": 5, "deep": {"list": [1, None]}, "lang": "de"},
    "tags": ["plain", "header:x=1", "node-red:message", "l" * 300],
}


@pytest.mark.parametrize("store", ["payload", "message"])
@pytest.mark.parametrize("kind", ["enqueue", "forward"])
def test_topic_headers_tags_and_group_come_back(
    kind: str, hub: HubProcess, central: HubProcess, red: NodeRed, store: str
) -> None:
    red.deploy(
        [
            tab(),
            *way(kind, hub, central, store=store),
            inject("in", "make"),
            function("make", MARK, "put"),
            function("tell", "seen(msg); return msg;", "end"),
            result("end"),
        ]
    )
    red.inject("in", LONG)
    (msg,) = red.wait_seen(1)
    job = msg["job"]
    assert (msg["payload"], msg["topic"], job["headers"], job["group"]) == (1, LONG["topic"], LONG["headers"], "k")
    assert sorted(job["tags"]) == sorted(LONG["tags"])
