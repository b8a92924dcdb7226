"""Rules over the wire: what each has done, and a test that makes what a real message makes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hubqueue.app import App
from hubqueue.config.load import load
from hubqueue.config.rules import read_rule, words
from hubqueue.errors import Invalid
from hubqueue.hub.verbs.ingest import UNROUTABLE
from hubqueue.model.job import Job
from hubqueue.model.state import State
from support.mosquitto import Mosquitto
from support.mqtt import publish
from support.waiting import until
from support.wire import WireClient

CONFIG = """
data_path: hub.db
tcp: {{port: 0}}
http: {{port: 0}}
mqtt:
  url: mqtt://127.0.0.1:{port}
  rules:
    - {{topic: "sensors/{{kind}}/{{room}}", queue: "{{kind}}", name: reading, where: payload.v > 3,
       priority: 7, attempts: 5}}
    - {{topic: "sensors/+/attic", queue: attic, shape: payload, ttl: 1h, tags: [hot], delay: 90s}}
    - {{topic: "meters/#", queue: meters, payload: {{kind: csv, columns: [time, "v:number"], delimiter: ";"}},
       lane: slow, qos: 0}}
    - {{topic: "doors/{{id}}", queue: doors, payload: text, dedup: {{key: "{{{{ id }}}}", ttl: 10s}},
       timeout: 30s, lifo: true}}
"""
MESSAGES = [
    ("sensors/climate/hall", b'{"v": 4.5}'),
    ("sensors/climate/hall", b'{"v": 1}'),
    ("sensors/climate/attic", b'{"v": 9}'),
    ("sensors/climate/attic", b"no json"),
    ("meters/1", b"2026;4.5"),
    ("meters/1", b"2026;much"),
    ("doors/front", b"open"),
    ("hubqueue/lights/invoke", b'{"method": "on", "data": {"room": "hall"}}'),
    ("hubqueue/lights/invoke", b'{"data": 1}'),
]


@dataclass
class Bridged:
    app: App
    client: WireClient
    port: int


@pytest.fixture
async def bridged(tmp_path: Path) -> AsyncIterator[Bridged]:
    async with Mosquitto(tmp_path) as broker:
        (tmp_path / "hubqueue.yaml").write_text(CONFIG.format(port=broker.port))
        async with App(load(tmp_path / "hubqueue.yaml", environ={})) as app:
            assert app.running.bridge is not None
            bridge = app.running.bridge
            await until(lambda: all(state.up for state in bridge.links.values()))
            client = await WireClient.open(app.tcp.port)
            yield Bridged(app, client, broker.port)
            await client.close()


def seen(job: Job) -> dict[str, Any]:
    """What a message made of a job, without what only the moment decides."""
    data = msgspec.msgpack.decode(job.data or b"\xc0")
    if isinstance(data, dict):
        data.pop("receivedAt", None)
    options = job.options
    return {
        "queue": job.queue,
        "name": job.name,
        "data": data,
        "priority": job.priority,
        "maxAttempts": job.max_attempts,
        "options": {
            "ttl": options.ttl_ms,
            "tags": list(options.tags),
            "timeout": options.timeout_ms,
            "lifo": options.lifo,
            "uniqueKey": None if options.dedup is None else options.dedup.key,
        },
    }


def tried(match: dict[str, Any]) -> dict[str, Any]:
    job = match["job"]
    data = job["data"]
    if isinstance(data, dict):
        data.pop("receivedAt", None)
    options: dict[str, Any] = {"ttl": None, "tags": [], "timeout": None, "lifo": False, "uniqueKey": None}
    return {
        "queue": match["queue"],
        **{key: job[key] for key in ("name", "priority", "maxAttempts")},
        "data": data,
        "options": {key: job.get(key, default) for key, default in options.items()},
    }


async def jobs_of(app: App) -> list[dict[str, Any]]:
    queues = [info.name for info in await app.hub.queues() if not info.name.startswith("_")]
    return [seen(job) for queue in queues for job in (await app.hub.list_jobs(queue)).jobs]


@pytest.mark.parametrize(("topic", "payload"), MESSAGES)
@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_a_test_makes_exactly_what_a_message_makes(
    bridged: Bridged, topic: str, payload: bytes, qos: int
) -> None:
    told = await bridged.client.good("RuleTest", topic=topic, payload=payload, qos=qos)
    assert not told["unroutable"]
    assert await jobs_of(bridged.app) == []  # nothing was enqueued
    await publish(bridged.port, [(topic, payload)], qos=qos)
    bridge = bridged.app.running.bridge
    assert bridge is not None
    wanted = [tried(match) for match in told["matches"] if match["outcome"] == "enqueued"]
    dead = [match["error"] for match in told["matches"] if match["outcome"] == "unroutable"]
    done = bridge.stats
    await until(lambda: done.received >= 1 and done.enqueued + done.unroutable + done.passed >= 1)
    await until(lambda: done.enqueued >= len(wanted) and done.unroutable >= len(dead))
    ordered = sorted(await jobs_of(bridged.app), key=str)
    assert ordered == sorted(wanted, key=str)
    buried = (await bridged.app.hub.list_jobs(UNROUTABLE, (State.FAILED,))).jobs
    assert [job.history.error for job in buried] == dead


async def test_a_rule_counts_what_it_did(bridged: Bridged) -> None:
    before = (await bridged.client.good("Rules"))["rules"]
    assert [(rule["matched"], rule["failed"], rule["lastAt"]) for rule in before] == [(0, 0, None)] * 4
    await publish(bridged.port, MESSAGES[:6])

    async def counted() -> bool:
        rules = (await bridged.client.good("Rules"))["rules"]
        return [(rule["matched"], rule["passed"], rule["failed"]) for rule in rules] == [
            (2, 1, 1),
            (1, 0, 1),
            (1, 0, 1),
            (0, 0, 0),
        ]

    await until(counted)
    told = await bridged.client.good("Rules")
    first = told["rules"][0]
    assert first["settings"]["where"] == "payload.v > 3"
    assert first["settings"]["attempts"] == 5
    assert first["lastAt"] >= first["failedAt"] > 0
    assert "not JSON" in first["error"]
    assert told["broker"]["url"] == f"mqtt://127.0.0.1:{bridged.port}"
    assert [(link["lane"], link["up"]) for link in told["broker"]["links"]] == [("", True), ("slow", True)]
    assert told["broker"]["counts"]["received"] >= 6


async def test_a_rule_in_the_request_is_tried_by_itself(bridged: Bridged) -> None:
    rule = {"topic": "sensors/#", "queue": "mine", "where": "payload.v < 2", "delay": "10s"}
    told = await bridged.client.good("RuleTest", topic="sensors/a/b", payload='{"v": 1}', rule=rule)
    (match,) = told["matches"]
    assert (match["rule"], match["topic"], match["outcome"], match["queue"]) == (None, "sensors/#", "enqueued", "mine")
    assert (match["job"]["delay"], match["job"]["data"]["payload"]) == (10_000, {"v": 1})
    told = await bridged.client.good("RuleTest", topic="sensors/a/b", payload='{"v": 5}', rule=rule)
    assert [match["outcome"] for match in told["matches"]] == ["passed"]
    told = await bridged.client.good("RuleTest", topic="other", payload="1", rule=rule)
    assert told == {"ok": True, "matches": [], "unroutable": True}


async def test_a_rule_is_tried_as_it_would_stand_in_the_configuration(bridged: Bridged) -> None:
    typed = """
    - topic: dev/{room}
      queue: "{room}"   # of any script
      payload: {kind: json, otherwise: text, nan: null, empty: skip}
      tags: [a, b]
    """
    for payload, outcome in ((b"offline", "offline"), (b'{"t": nan}', {"t": None}), (b"", "passed")):
        told = await bridged.client.good("RuleTest", topic="dev/K\u00fcche", payload=payload, rule=typed)
        (match,) = told["matches"]
        if outcome == "passed":
            assert match["outcome"] == "passed"
        else:
            assert (match["queue"], match["job"]["data"]["payload"]) == ("K:xfc:che", outcome)
            assert match["job"]["tags"] == ["a", "b"]
    for text, said in (
        ("topic: a\nqueue q", "line 2 is not YAML"),
        ("topic: a\nqueue: {room}", "rule.queue: must be text"),
        ("", "rule.topic: is missing"),
        ("a: &x [1]\nb: *x", "refers to another part"),
        ("topic: a\nqueue: q\npayload: {kind: text, nan: null}", "makes no sense with decoder 'text'"),
        ("topic: a\nqueue: q\npayload: {kind: json, encoding: latin1x}", "no text encoding 'latin1x'"),
        ("x" * 20_000, "longer than 16384"),
    ):
        refused = await bridged.client.call("RuleTest", topic="a", payload="1", rule=text)
        assert refused["code"] == "invalid"
        assert said in refused["error"]


async def test_mistakes_of_a_rule_are_told_with_path_and_hint(bridged: Bridged) -> None:
    rule = {"topic": "a/{x", "quee": "q", "delay": 10}
    refused = await bridged.client.call("RuleTest", topic="a", payload="1", rule=rule)
    assert refused["code"] == "invalid"
    for part in (
        "rule.quee: is not a known key",
        "rule.delay: must be a duration",
        "rule.topic",
        "rule.queue: is missing",
    ):
        assert part in refused["error"]
    assert "did you mean 'queue'?" in refused["hint"]
    for fields in ({"topic": "a/#"}, {"topic": ""}, {"topic": "a", "payload": 5}):
        assert (await bridged.client.call("RuleTest", **{"payload": b"1", **fields}))["code"] == "invalid"


async def test_what_would_run_long_is_a_mistake_or_unroutable(bridged: Bridged) -> None:
    client = bridged.client
    loops = "{% for i in range(9) %}{% for j in range(9) %}{% endfor %}{% endfor %}"
    for more, said in (
        ({"where": "(" * 3000 + "1" + ")" * 3000}, "nested too deeply"),
        ({"where": "payload.t == none"}, "nothing is equal to none"),
        ({"dedup": {"key": loops, "ttl": "1s"}}, "{% for %}"),
        ({"dedup": {"key": "{{ 'a'|centre(9) }}", "ttl": "1s"}}, "there is no filter 'centre'"),
    ):
        refused = await client.call("RuleTest", topic="a", payload="{}", rule={"topic": "a", "queue": "q", **more})
        assert (refused["code"], said in refused["error"]) == ("invalid", True)
        assert len(refused["error"]) < 1000
        assert refused["hint"]
    for key, error in (
        ("{{ 'a'|center(payload.n) }}", "no dedup key: a text is filled up to 1000 characters at most"),
        ("{{ 'a' ~ range(payload.n) }}", "no dedup key: a list of more than 10000 items is not made"),
        ("{{ payload.none }}", "no dedup key: payload.none is null"),
    ):
        rule = {"topic": "a", "queue": "q", "dedup": {"key": key, "ttl": "10s"}}
        payload = '{"n": 500000000, "none": null}'
        (match,) = (await client.good("RuleTest", topic="a", payload=payload, rule=rule))["matches"]
        assert (match["outcome"], match["error"]) == ("unroutable", error)


def test_the_words_of_a_rule_are_read_back_as_the_rule() -> None:
    for given in (
        {"topic": "a", "queue": "q"},
        {"topic": "s/{k}", "queue": "{k}", "name": "{k}", "payload": "text", "shape": "payload", "retained": "skip"},
        {"topic": "s", "queue": "q", "payload": {"kind": "csv", "columns": ["a", "b:text"], "delimiter": ";"}},
        {"topic": "s", "queue": "q", "payload": {"kind": "json", "otherwise": "text", "nan": None, "empty": "skip"}},
        {"topic": "s", "queue": "q", "payload": {"kind": "number", "empty": None, "encoding": "utf-16"}},
        {"topic": "s", "queue": "q", "delay": "90s", "ttl": "1h", "timeout": "1500ms", "attempts": 9, "priority": -4},
        {"topic": "s", "queue": "q", "keep_trying": "1d"},
        {"topic": "s", "queue": "q", "keep_trying": "1d", "attempts": 3},
        {"topic": "s", "queue": "q", "backoff": {"type": "fixed", "delay": "2s", "max": "10m", "jitter": 0.25}},
        {"topic": "s", "queue": "q", "dedup": {"key": "{{ topic }}", "ttl": "1d", "replace": True}, "lane": "slow"},
        {"topic": "s", "queue": "q", "lifo": True, "durable": True, "remove_on_fail": True, "tags": ["x", "y"]},
        {"topic": "s", "queue": "q", "qos": 0, "on_full": "drop", "where": "payload > 3", "remove_on_complete": True},
    ):
        rule = read_rule(given)
        assert read_rule(words(rule)) == rule
        assert (
            words(rule).items() >= {key: value for key, value in given.items() if isinstance(value, str | int)}.items()
        )
    with pytest.raises(Invalid, match="rule: must hold keys and values"):
        read_rule("x")


async def test_a_mended_configuration_takes_what_the_broker_had_sent_before(tmp_path: Path) -> None:
    """From the broker to a worker, over a restart with another rule; whoever asks gets numbers."""
    head = "data_path: hub.db\ntcp: {{port: 0}}\n"
    text = head + "mqtt: {{url: 'mqtt://127.0.0.1:{}', rules: [{{topic: 's/{{room}}', {}}}]}}\n"
    file = tmp_path / "hubqueue.yaml"
    async with Mosquitto(tmp_path) as broker:
        file.write_text(text.format(broker.port, "queue: readings"))
        async with App(load(file, environ={})) as app:
            assert app.running.bridge is not None
            bridge = app.running.bridge
            await until(lambda: bridge.links[""].up)
            await publish(broker.port, [("s/hall", b"offline"), ("s/bath", b"\xff"), ("s/attic", b"21")])
            await until(lambda: bridge.stats.acknowledged == 3)
            client = await WireClient.open(app.tcp.port)
            told = await client.good("RetryDlq", queue=UNROUTABLE)
            assert (told["count"], told["kept"]) == (0, 2)
            await client.close()
        file.write_text(text.format(broker.port, "queue: readings, payload: {kind: json, otherwise: text}"))
        async with App(load(file, environ={})) as app:
            client = await WireClient.open(app.tcp.port)
            told = await client.good("RetryDlq", queue=UNROUTABLE)
            assert (told["count"], told["kept"]) == (1, 1)
            assert "not valid UTF-8" in told["why"]
            (job, again) = (await app.hub.list_jobs("readings")).jobs
            assert [seen(each)["data"]["payload"] for each in (job, again)] == [21, "offline"]
            (kept,) = (await app.hub.list_jobs(UNROUTABLE, [State.FAILED])).jobs
            refused = await client.call("MoveToWait", id=kept.id)
            assert (refused["code"], "not valid UTF-8" in refused["error"]) == ("wrong_state", True)
            await client.close()
