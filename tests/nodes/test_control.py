"""What the control node steers at a real hub, and what an events node beside it tells of that."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from hubqueue import Client
from support.hub_process import HubProcess
from support.node_red import Node, NodeRed, function, inject, node, result, server, tab, worker

pytestmark = pytest.mark.slow

Ask = Callable[[str, Any], Any]


@pytest.fixture
def ask(hub: HubProcess, red: NodeRed) -> Ask:
    """Send an action and its arguments into a control node; its answer, or the code and the text of its error."""
    red.deploy(asking(hub.port))
    return asker(red)


def asking(port: int) -> list[Node]:
    steps = [
        "msg.action = msg.payload.action; msg.payload = msg.payload.args;",
        "if (msg.payload.date) { msg.payload.until = new Date(msg.payload.date); }",
        "return msg;",
    ]
    return [
        tab(),
        server(port),
        inject("in", "make"),
        function("make", " ".join(steps), "ask"),
        node("ask", "hubqueue-control", "tell", server="hub", action="", queue="", queueType="str"),
        function("tell", "seen({answer: msg.payload});"),
        node("caught", "catch", "wrong", scope=["ask"], uncaught=False),
        function("wrong", "seen({answer: [msg.error.code, msg.error.message]});"),
        node("live", "hubqueue-events", "told", server="hub", queue="q", queueType="str", mode="events"),
        function("told", "seen({event: msg.payload});"),
    ]


def asker(red: NodeRed) -> Ask:
    def answers() -> list[Any]:
        return [each["answer"] for each in red.seen() if "answer" in each]

    def ask(action: str, args: Any) -> Any:
        before = len(answers())
        red.inject("in", {"action": action, "args": args})
        return red.wait_for(lambda: answers()[before:])[0]

    return ask


async def test_a_job_is_snoozed_so_long_or_until_a_time(ask: Ask, client: Client) -> None:
    handle = await client.queue("q").add("a", 1)

    for delay, seconds in (("10m", 600), (1_200_000, 1200)):
        before = datetime.now(UTC) - timedelta(seconds=1)  # the hub's clock counts milliseconds
        assert ask("snooze", {"id": handle.id, "delay": delay}) == {"id": handle.id, "snoozed": True}
        run_at = (await handle.get()).run_at
        assert run_at is not None
        assert before <= run_at - timedelta(seconds=seconds) <= datetime.now(UTC)
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).replace(microsecond=0)
    for until in (
        {"until": tomorrow.isoformat()},
        {"until": int(tomorrow.timestamp() * 1000)},
        {"date": tomorrow.isoformat()},
    ):
        ask("snooze", {"id": handle.id, "delay": 0})
        assert (await handle.get()).state == "waiting"
        assert ask("snooze", {"id": handle.id, **until}) == {"id": handle.id, "snoozed": True}
        assert ((await handle.get()).state, (await handle.get()).run_at) == ("delayed", tomorrow)
    ask("snooze", {"id": handle.id, "until": 1000})  # past: now
    assert ((await handle.get()).state, (await handle.get()).attempts_made) == ("waiting", 0)


async def test_what_cannot_be_snoozed_is_said_and_stays_as_it_is(ask: Ask, client: Client) -> None:
    handle = await client.queue("q").add("a", 1)
    for wrong in ({}, {"delay": 1, "until": 1}, {"delay": "soon"}, {"delay": -1}, {"until": "never"}, {"until": {}}):
        assert ask("snooze", {"id": handle.id, **wrong})[0] == "HQ_INVALID", wrong
    assert ask("snooze", handle.id)[0] == "HQ_INVALID"  # an id alone: the hub says what is missing
    assert ask("snooze", {"delay": 1}) == ["HQ_INVALID", "HubqueueError: snooze needs id"]
    assert ask("snooze", {"id": "nobody", "delay": 1}) == ["HQ_NOT_FOUND", "HubqueueError: Job 'nobody' not found"]
    async with client.queue("q").take(1) as batch:
        assert len(list(batch)) == 1
        code, text = ask("snooze", {"id": handle.id, "delay": 1})
        assert (code, f"Job '{handle.id}' is active" in text) == ("HQ_WRONG_STATE", True)
    assert (await handle.get()).state == "completed"


async def test_delayed_says_whether_a_run_has_failed(hub: HubProcess, red: NodeRed, client: Client) -> None:
    failing = [worker("work", "fail", paused=True), result("fail", outcome="retry", error="no route")]
    red.deploy([*asking(hub.port), *failing])
    ask = asker(red)
    handle = await client.queue("q").add("a", 1, attempts=2)
    ask("snooze", {"id": handle.id, "delay": "10m"})
    ask("promote", {"id": handle.id})
    red.request("POST", "/hubqueue/worker/work/toggle")

    def delayed() -> list[Any]:
        return [each["event"] for each in red.seen() if each.get("event", {}).get("kind") == "delayed"]

    events = red.wait_for(lambda: len(delayed()) == 2 and delayed())
    assert [(each.get("delay"), each.get("error")) for each in events] == [(600_000, None), (None, "no route")]


async def test_lists_hold_what_carries_all_of_the_tags(ask: Ask, client: Client) -> None:
    queue = client.queue("q")
    for name, tags in (("both", ["a", "b"]), ("one", ["a"]), ("none", [])):
        await queue.add(name, tags=tags)
    await queue.add_many([("plain", n) for n in range(3000)])

    def names(**which: Any) -> list[str]:
        return [job["name"] for job in ask("list", {"queue": "q", **which})["jobs"]]

    assert names(tags=["a"]) == ["both", "one"]
    assert names(tags="a", newestFirst=True, limit=1) == ["one"]
    assert names(tags=["b", "a", "b"], state="waiting") == ["both"]
    assert names(tags=["A"]) == []
    assert names(tags=[], limit=3) == names(tags=None, limit=3) == ["both", "one", "none"]
    assert ask("list", {"queue": "q", "tags": [1]})[0] == "HQ_INVALID"
    first = ask("list", {"queue": "q", "tags": ["a"], "limit": 1})
    assert names(tags=["a"], cursor=first["cursor"]) == ["one"]
    async with queue.take(3) as batch:
        for job in batch:
            batch.reject(job, "no")
    assert [each["job"]["name"] for each in ask("dead", {"queue": "q", "tags": ["a", "b"]})] == ["both"]
    assert ask("retryDead", {"queue": "q", "tags": "a"}) == {"queue": "q", "count": 2}
    assert [each["job"]["name"] for each in ask("dead", {"queue": "q"})] == ["none"]
