"""Rule 53: children inherit no secret, wherever the configuration names it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import psutil
import pytest

from hubqueue.app import App
from hubqueue.config.inherited import for_handlers, for_pipeline
from hubqueue.config.load import load
from hubqueue.model import payload
from hubqueue.model.job import NewJob
from support.waiting import until

# one for each place of the configuration that takes a text, by the name of its variable
NAMES = (
    "EDGE_TOKEN",
    "SCOPED_TOKEN",
    "CENTRAL_TOKEN",
    "WEB_TOKEN",
    "WEB_HEADER",
    "SINK_PASSWORD",
    "PIPELINE_KEY",
    "IN_THE_MIDDLE",
)
SECRETS = {name: f"{name.lower()}-value" for name in NAMES}
GIVEN = {"SUPERVISOR_TOKEN": "supervisor", "HASSIO_TOKEN": "hassio", "HUBQUEUE_KAFKA_PASSWORD": "kafka"}
VALUES = (*SECRETS.values(), *GIVEN.values())
FILE = """
data_path: hub.db
tcp:
  port: 0
  tokens:
    - "${EDGE_TOKEN}"
    - {token: "x${SCOPED_TOKEN}", scopes: [read], name: "who"}
http: {port: 0}
handlers: {folder: handlers}
pipelines: [p.yaml]
forwarders:
  - {queue: a, to: "tcp://127.0.0.1:1", token: "${CENTRAL_TOKEN}"}
  - {queue: b, to: "http://127.0.0.1:1/${IN_THE_MIDDLE}", http: {headers: {X-Key: "${WEB_HEADER}", Y: "${WEB_TOKEN}"}}}
  - {queue: c, to: "mqtt://127.0.0.1:1", mqtt: {topic: t, username: u, password: "${SINK_PASSWORD}"}}
"""
PIPELINE = """
name: p
from: {queue: in}
process: own
steps:
  - map: {constant: {key: "${PIPELINE_KEY}"}}
to: [{queue: out}]
"""
HANDLER = """
import os
from hubqueue import task

@task("look", queue="look")
async def look(job):
    return dict(os.environ)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in {**SECRETS, **GIVEN, "MINE": "my own"}.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "handlers").mkdir()
    (tmp_path / "handlers" / "look.py").write_text(HANDLER)
    (tmp_path / "hubqueue.yaml").write_text(FILE)
    (tmp_path / "p.yaml").write_text(PIPELINE)
    return tmp_path


async def test_no_child_of_a_hub_inherits_what_its_configuration_used(folder: Path) -> None:
    config = load(folder / "hubqueue.yaml")
    assert config.variables == set(SECRETS)
    async with App(config) as app:
        (id,) = await app.hub.enqueue("look", [NewJob(name="look")])
        done = await app.hub.wait(id, 30_000)
        assert done is not None
        seen: Any = payload.decode(done.result)
        assert (seen["MINE"], "PATH" in seen) == ("my own", True)
        assert {*SECRETS, *GIVEN} & set(seen) == set()
        assert [value for value in VALUES if value in json.dumps(seen)] == []

        assert app.running.pipelines is not None
        children = psutil.Process().children(recursive=True)
        (own,) = [child for child in children if "hubqueue.pipelineworker" in " ".join(child.cmdline())]
        await until(lambda: bool(own.environ()))
        inherited = own.environ()
        assert (inherited["PIPELINE_KEY"], "MINE" in inherited) == ("pipeline_key-value", False)
        assert {*SECRETS, *GIVEN} & set(inherited) == {"PIPELINE_KEY"}
        for child in children:  # nor does a list of processes show them
            assert [value for value in VALUES if value in " ".join(child.cmdline())] == []


def test_what_every_program_needs_is_kept_even_where_a_configuration_uses_it() -> None:
    needed = {"PATH": "/bin", "HOME": "/root", "TZ": "UTC", "LC_ALL": "C"}
    environ = {**needed, "KEY": "k", "HUBQUEUE_X": "1", "MINE": "m"}
    assert for_handlers(environ, {"HOME", "KEY"}) == {**needed, "MINE": "m"}
    assert for_pipeline(environ, {"KEY"}) == {**needed, "KEY": "k"}
