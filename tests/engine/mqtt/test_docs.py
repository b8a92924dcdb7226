"""docs/mqtt.md says what the code does: its rules load and work, its lists are complete."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import msgspec
import pytest

from hubqueue.config.load import load
from hubqueue.ingest.outcome import Passed, Refused, Taken
from hubqueue.model.decode import KINDS
from hubqueue.model.option import Door
from hubqueue.model.options import options_at
from hubqueue.mqtt.bridge import STATUS_TOPIC
from hubqueue.mqtt.envelope import Envelope
from hubqueue.mqtt.invoke import Invoke
from hubqueue.mqtt.lanes import client_id
from hubqueue.mqtt.stats import Stats
from hubqueue.mqtt.trial import try_message

GUIDE = (Path(__file__).parents[3] / "docs" / "mqtt.md").read_text()


def block(language: str, number: int = 0) -> str:
    """A code block of the guide."""
    return str(re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)[number])


def test_the_rules_of_the_guide_load_and_take_messages(tmp_path: Path) -> None:
    (tmp_path / "hubqueue.yaml").write_text(block("yaml"))
    settings = load(tmp_path / "hubqueue.yaml", environ={})
    assert settings.mqtt is not None
    rules = settings.mqtt.rules
    for topic, payload, kind in (
        ("sensors/climate/hall", b'{"battery": 50}', Taken),
        ("sensors/climate/hall", b'{"battery": 4}', Passed),
        ("sensors/climate/hall", b'{"t": 4}', Taken),
        ("meters/1", b"230;10.5;007", Taken),
        ("alarm/smoke/attic", b"fire", Taken),
        ("other", b"1", Refused),
    ):
        (routed,) = try_message(rules, topic, payload, now_ms=0)
        assert isinstance(routed, kind)


@pytest.mark.parametrize("word", [*KINDS, *(field.name for field in dataclasses.fields(Stats))])
def test_decoders_and_counters_are_in_the_guide(word: str) -> None:
    assert f"`{word}`" in GUIDE


def test_job_data_and_invoke_of_the_guide_have_every_field() -> None:
    assert set(msgspec.json.decode(block("json"))) == {field.encode_name for field in msgspec.structs.fields(Envelope)}
    options = {option.json for option in options_at(Door.INVOKE)}  # each has a row in http.md, which the guide names
    shown = set(msgspec.json.decode(block("json", 1)))
    assert shown | options == {field.encode_name for field in msgspec.structs.fields(Invoke)}


def test_every_reason_in_the_code_is_in_the_guide() -> None:
    source = Path(__file__).parents[3] / "engine" / "hubqueue"
    code = "".join(
        path.read_text()
        for path in (
            *(source / "ingest").glob("*.py"),
            *(source / "mqtt").glob("*.py"),
            source / "hub" / "verbs" / "ingest.py",
            source / "hub" / "verbs" / "reroute.py",
            source / "sources" / "reroute.py",
        )
    )
    reasons = set(re.findall(r'[(,=] ?"(no_\w+|bad_\w+|too_\w+|undecodable|invalid|failed|queue_full)"', code))
    assert reasons == set(re.findall(r"^\| `(\w+)` \|", GUIDE[GUIDE.index("| reason |") :], re.MULTILINE))


def test_names_on_the_broker_are_those_of_the_guide() -> None:
    assert client_id("<hub id>", "<lane>") in "hubqueue-<hub id>-<lane>"
    assert "`hubqueue-<hub id>`, with `-<lane>`" in GUIDE
    assert f"`{STATUS_TOPIC.format(hub_id='<hub id>')}`" in GUIDE
