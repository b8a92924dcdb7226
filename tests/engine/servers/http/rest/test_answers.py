"""The OpenAPI document says every key of every answer to a GET, and leaves none open that the hub itself fills."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import msgspec
import pytest

from hubqueue.model.options import OPTIONS
from hubqueue.servers.http.rest.openapi import document
from hubqueue.servers.http.rest.routes import ROUTES
from support.hub_process import HubProcess
from support.openapi import Node, alternatives, resolved, wrong
from support.rest import Rest, client_of
from support.wire import WireClient

TOKEN: Final = "hq_everything_is_described_for_this_token"
HUB: Final = """
data_path: hub.db
tcp: {port: 0, tokens: [hq_everything_is_described_for_this_token]}
http: {port: 0}
mqtt: {url: "mqtt://127.0.0.1:1", rules: [{topic: "sensors/#", queue: q}]}
forwarders: [{queue: out, to: "tcp://127.0.0.1:1", schedule: {windows: ['22:00-06:00']}}]
pipelines: [p.yaml]
"""
PIPELINE: Final = "name: p\nfrom: {queue: raw}\nsteps: [{filter: data.t is number}]\nto: {queue: fine}\n"
OPEN: Final = {  # what users write themselves
    "Job.data",
    "Job.result",
    "Schedule.data",
    "ConfigReply.config",  # the configuration as docs/config.md describes it
    "RuleStanding.settings",
    *("NewJob.data", "FlowJob.data", "Invocation.data", "NewSchedule.data", "Change.data"),
    *("Done.result", "Settlement.result", "Ending.result"),
    "Sample.rule",  # a rule as docs/mqtt.md describes it
}
PAGES: Final = [route for route in ROUTES if route.method == "GET"]


@pytest.fixture(scope="module")
def schemas() -> Node:
    found: Node = msgspec.json.decode(document("1"))
    return found


@asynccontextmanager
async def registered(port: int) -> AsyncIterator[None]:
    """A worker that is known while this lasts."""
    worker = await WireClient.open(port)
    try:
        await worker.good("Auth", token=TOKEN)
        await worker.good("RegisterWorker", name="w", queues=["q"])
        yield
    finally:
        await worker.close()


async def furnished(rest: Rest) -> dict[str, str]:
    """Something of everything; what the paths name."""
    await rest.post("/queues/q/jobs", {"name": "n", "id": "dead", "attempts": 1})
    (token,) = (await rest.post("/queues/q/lease"))["tokens"]
    await rest.post("/jobs/dead/fail", {"token": token, "error": "no", "stack": ["a", "b"]})
    whole = {"name": "n", "queue": "q", "id": "top", "children": [{"name": "kid", "queue": "q", "id": "kid"}]}
    await rest.post("/flows", whole)
    await rest.post("/jobs/top/logs", {"message": "a line"})
    keys = {"id": "mine", "dedup": {"key": "k", "ttl": 5000}, "group": "g", "tags": ["t"], "keepTrying": 10**6}
    await rest.post("/queues/held/jobs", {"name": "n", "backoff": 5} | keys)
    (held,) = (await rest.post("/queues/held/lease"))["jobs"]
    options = {"dedup": "k", "attempts": 7}
    schedule = {"queue": "q", "jobName": "n", "repeatEvery": 10**6, "data": {"a": 1}, "jobOptions": options}
    assert (await rest.ask("PUT", "/schedules/s", schedule)).status == 200
    await rest.ask("PUT", "/queues/q/limits/rate", {"limit": 5, "ttl": 10**6})
    await rest.post("/webhooks", {"url": "https://hooks.example.com/", "events": ["job.failed"]})
    await rest.post("/tokens", {"name": "t", "scopes": ["read"]})
    await rest.post("/backups")
    return {"queue": "q", "id": held["id"], "name": "s"}


async def test_every_answer_is_described_whole(tmp_path: Path, schemas: Node) -> None:
    (tmp_path / "p.yaml").write_text(PIPELINE, encoding="utf-8")
    (tmp_path / "hubqueue.yaml").write_text(HUB, encoding="utf-8")
    with HubProcess(tmp_path, config=tmp_path / "hubqueue.yaml") as hub:
        async with client_of(hub.http_port, TOKEN) as rest, registered(hub.port):
            names = await furnished(rest)
            for route in PAGES:
                found = await rest.ask("GET", route.path.format(**names))
                assert found.status in (200, 202), (route.path, found)
                assert wrong(schemas, "GET", route.path, found.body) == [], route.path
            for id in ("dead", "top", "kid"):
                assert wrong(schemas, "GET", "/jobs/{id}", await rest.get(f"/jobs/{id}")) == [], id
            for path, name in (("overview", "forwarders"), ("workers",) * 2, ("pipelines",) * 2, ("rules",) * 2):
                assert (await rest.get(f"/{path}"))[name] != [], path


def test_nothing_is_left_open_but_what_users_write(schemas: Node) -> None:
    left: set[str] = set()
    for schema in schemas["components"]["schemas"].values():
        for name, each in schema.get("properties", {}).items():
            for kind in alternatives(schemas, each):
                item = resolved(schemas, kind.get("items", kind))
                if item.get("type", "object") == "object" and not item.keys() & {"properties", "anyOf", "enum"}:
                    counted = item.get("additionalProperties", {}) not in (True, {})
                    left |= set() if counted else {f"{schema['title']}.{name}"}
    assert left == OPEN


def test_nothing_has_a_name_of_the_wire_where_the_table_has_one_for_json(schemas: Node) -> None:
    every = [*OPTIONS, *(part for option in OPTIONS for part in option.parts)]
    wire = {name for option in every for name in (option.wire, *option.choices.values())} - {""}
    names = {name for schema in schemas["components"]["schemas"].values() for name in schema.get("properties", {})}
    assert names & (wire - {option.json for option in every}) == set()
    assert {"attempts", "attemptsMade", "onFailure", "max"} <= names
