"""The rules that hassfest and HACS check, and ours: one text for everything, in every language."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import probatio as vol
import pytest
import yaml
from custom_components.hubqueue import (
    binary_sensor,
    button,
    condition,
    event,
    job_received,
    number,
    run_action,
    sensor,
    subentry_sensor,
    switch,
    trigger,
    worker,
)
from custom_components.hubqueue.actions import ACTIONS, ENTRY
from homeassistant.components.sensor import SensorEntityDescription
from homeassistant.const import UnitOfTime
from homeassistant.helpers import selector

from conftest import ROOT

HERE = ROOT / "custom_components" / "hubqueue"
MANIFEST = json.loads((HERE / "manifest.json").read_text())
ENGLISH: dict[str, Any] = json.loads((HERE / "translations" / "en.json").read_text())
GERMAN: dict[str, Any] = json.loads((HERE / "translations" / "de.json").read_text())
ICONS = json.loads((HERE / "icons.json").read_text())
SERVICES: dict[str, Any] = yaml.safe_load((HERE / "services.yaml").read_text())
SCALE = yaml.safe_load((HERE / "quality_scale.yaml").read_text())["rules"]
VERSION = re.search(r'^version = "(.*)"', (ROOT / "engine" / "pyproject.toml").read_text(), re.MULTILINE)


def texts(tree: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(tree, str):
        yield path, tree
        return
    for key, value in tree.items():
        yield from texts(value, f"{path}.{key}")


def fields_of(action: str) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, field in SERVICES[action]["fields"].items():
        fields.update(field.get("fields", {name: field}))
    return fields


def selectors(field: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """That of a field, and those in it."""
    for kind, config in (field["selector"] or {}).items():
        yield kind, config or {}
        for inner in ((config or {}).get("fields") or {}).values() if kind == "object" else ():
            yield from selectors(inner)


def test_the_manifest_is_in_order() -> None:
    keys = list(MANIFEST)
    assert keys[:2] == ["domain", "name"]
    assert keys[2:] == sorted(keys[2:])
    assert MANIFEST["domain"] == HERE.name
    assert MANIFEST["requirements"] == []
    assert MANIFEST["codeowners"]
    assert MANIFEST["documentation"].startswith("https://")
    assert VERSION is not None
    assert MANIFEST["version"] == VERSION[1]


def test_hacs_finds_what_it_wants() -> None:
    hacs = json.loads((ROOT / "hacs.json").read_text())
    assert set(hacs) <= {"name", "content_in_root", "filename", "hide_default_branch", "homeassistant", "zip_release"}
    assert hacs["homeassistant"] == "2026.9.0"
    assert [each.name for each in (ROOT / "custom_components").iterdir() if each.is_dir()] == ["hubqueue"]
    for name in ("issue_tracker", "name", "domain", "version", "codeowners", "documentation"):
        assert MANIFEST[name]
    for kind, (width, height) in {"icon": (256, 256), "logo": (320, 128), "dark_logo": (320, 128)}.items():
        for name, times in ((f"{kind}.png", 1), (f"{kind}@2x.png", 2)):
            start = (HERE / "brand" / name).read_bytes()[:24]
            assert start[:4] == b"\x89PNG", name
            assert struct.unpack(">II", start[16:]) == (width * times, height * times), name


@pytest.mark.parametrize("language", ["en", "de"])
def test_texts_are_clean(language: str) -> None:
    tree = ENGLISH if language == "en" else GERMAN
    for path, text in texts(tree):
        assert text == text.strip(), path
        assert text, path
        assert not re.search(r"<[a-z/]|://|'\{|\[%key", text), path


def test_every_language_says_the_same_things() -> None:
    english, german = dict(texts(ENGLISH)), dict(texts(GERMAN))
    assert english.keys() == german.keys()
    for path, text in english.items():
        assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", german[path])), path


def test_german_has_one_word_for_a_thing() -> None:
    for path, text in texts(GERMAN):
        assert not re.search(r"\b(Jobs?|Dead.Letters?|Arbeiter\w*|[Vv]erfällt|[Vv]erfallen)\b", text), path


@pytest.mark.parametrize("tree", [ENGLISH, GERMAN])
def test_one_of_a_thing_is_not_told_as_many(tree: Any) -> None:
    for path, text in texts(tree):
        assert not re.search(r"\{count\} \w", text), path


def test_every_reason_of_a_dead_letter_has_words() -> None:
    dashboard = json.loads((ROOT / "engine/hubqueue/ui/texts/en/job.json").read_text())
    reasons = {key.removeprefix("reason.") for key in dashboard if key.startswith("reason.")}
    assert reasons == ENGLISH["selector"]["reason"]["options"].keys()


def test_every_action_is_described_as_it_is() -> None:
    assert ACTIONS.keys() <= SERVICES.keys()
    assert SERVICES.keys() == ENGLISH["services"].keys() == ICONS["services"].keys()
    for action, described in SERVICES.items():
        fields = fields_of(action)
        for field in fields.values():
            selector.validate_selector(field["selector"])
        told = ENGLISH["services"][action]
        assert told["fields"].keys() == fields.keys(), action
        for name, field in described["fields"].items():
            assert "fields" not in field or name in told["sections"], action
        if action in ACTIONS:
            keys = {str(key): key for key in {**ENTRY, **ACTIONS[action].fields}}
            assert keys.keys() == fields.keys(), action
            for name, field in fields.items():
                required = type(keys[name]).__name__ == "Required"
                assert field.get("required", False) == required, (action, name)


@pytest.mark.parametrize(("what", "there"), [("triggers", trigger.TRIGGERS), ("conditions", condition.CONDITIONS)])
def test_every_trigger_and_condition_is_described(what: str, there: Mapping[str, Any]) -> None:
    described = yaml.safe_load((HERE / f"{what}.yaml").read_text())
    described = {key: value for key, value in described.items() if not key.startswith(".")}
    assert described.keys() == there.keys() == ENGLISH[what].keys() == ICONS[what].keys()
    for key, value in described.items():
        fields = value["fields"]
        for field in fields.values():
            selector.validate_selector(field["selector"])
        assert fields.keys() == ENGLISH[what][key]["fields"].keys(), key
        options = job_received.OPTIONS if key == "job_received" else there[key].fields
        assert {str(each): isinstance(each, vol.Required) for each in options} == {
            name: field.get("required", False) for name, field in fields.items()
        }, key


@pytest.mark.parametrize(("action", "schema"), [("worker", worker.FIELDS), ("run_action", run_action.FIELDS)])
def test_actions_of_their_own_modules_are_described(action: str, schema: Mapping[Any, Any]) -> None:
    fields = fields_of(action)
    assert ENGLISH["services"][action]["fields"].keys() == fields.keys()
    assert {str(each): isinstance(each, vol.Required) for each in schema} == {
        name: field.get("required", False) for name, field in fields.items()
    }


def test_every_choice_has_a_text() -> None:
    taking = yaml.safe_load((HERE / "triggers.yaml").read_text())["job_received"]["fields"]
    for fields in (*map(fields_of, SERVICES), taking):
        for each in map(selectors, fields.values()):
            for kind, config in each:
                if kind == "select" and (key := config.get("translation_key")):
                    assert ENGLISH["selector"][key]["options"].keys() == set(config["options"])
                if kind == "object" and "fields" in config:
                    told = ENGLISH["selector"][config["translation_key"]]["fields"]
                    assert told.keys() == config["fields"].keys()
                    assert all(text["name"] and text["description"] for text in told.values())


def test_every_entity_has_a_name_and_an_icon() -> None:
    described = {
        "sensor": [*sensor.QUEUE, *sensor.LINK, *sensor.HUB, *subentry_sensor.FEED, *subentry_sensor.WORKER],
        "binary_sensor": [binary_sensor.CONNECTED, binary_sensor.PROBLEM, binary_sensor.LINK],
        "switch": [switch.PAUSED],
        "button": [*button.QUEUE],
        "number": [number.CONCURRENCY],
        "event": [event.OUTCOME],
    }
    for platform, descriptions in described.items():
        keys = {each.translation_key for each in descriptions}
        assert keys == ENGLISH["entity"][platform].keys(), platform
        if platform != "binary_sensor":  # their device classes bring icons
            assert keys == ICONS["entity"][platform].keys(), platform
    states = ENGLISH["entity"]["event"]["outcome"]["state_attributes"]["event_type"]["state"]
    assert states.keys() == set(event.OUTCOME.event_types or ())
    for each in described["sensor"]:
        assert isinstance(each, SensorEntityDescription)
        if each.native_unit_of_measurement == UnitOfTime.SECONDS:
            assert each.suggested_display_precision == 0, each.key


def test_every_field_of_a_step_is_explained() -> None:
    steps = [*ENGLISH["config"]["step"].values(), *ENGLISH["options"]["step"].values()]
    for kind in ENGLISH["config_subentries"].values():
        steps += kind["step"].values()
        steps += [part for step in kind["step"].values() for part in step.get("sections", {}).values()]
    for step in steps:
        assert step.get("data", {}).keys() == step.get("data_description", {}).keys()


def test_every_error_that_is_raised_has_a_text() -> None:
    used: set[str] = set()
    for path in HERE.glob("*.py"):
        used.update(re.findall(r'translation_key="(\w+)"', path.read_text()) if path.name == "coordinator.py" else ())
    raised = used - ENGLISH["issues"].keys()
    assert raised
    assert raised <= ENGLISH["exceptions"].keys()


def test_platforms_say_how_many_updates_run_at_once() -> None:
    for module in (binary_sensor, button, event, number, sensor, switch):
        assert isinstance(module.PARALLEL_UPDATES, int)


def test_each_rule_of_the_quality_scale_is_done_or_has_a_reason() -> None:
    for rule, status in SCALE.items():
        assert status == "done" or (status["status"] == "exempt" and status["comment"]), rule
    for rule in ("config-flow", "runtime-data", "strict-typing", "inject-websession", "reauthentication-flow"):
        assert SCALE[rule] == "done"


def test_no_file_of_ours_is_taken_for_one_of_home_assistants() -> None:
    ignored = {"node_modules", ".git", ".venv", ".venv314", ".mypy_cache"}
    found: list[Path] = []
    for folder, folders, files in ROOT.walk():
        folders[:] = [each for each in folders if each not in ignored]
        found += [folder / name for name in files if name == "manifest.json"]
    assert found == [HERE / "manifest.json"]
