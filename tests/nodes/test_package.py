"""The package as people meet it: the rules of the scorecard, texts in every language, examples that work."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hubqueue.model.option import Door
from hubqueue.model.options import OPTIONS, options_at
from hubqueue.model.optionsjson import FILE
from support.hub_process import HubProcess
from support.node_red import PACKAGE, NodeRed, installed

TYPES = {f"hubqueue-{each}" for each in ("server", "enqueue", "worker", "result", "forward", "control", "events")}
LANGUAGES = ("en-US", "de")
EXAMPLES = sorted((PACKAGE / "examples").glob("*.json"))
MANIFEST: dict[str, Any] = json.loads((PACKAGE / "package.json").read_text())
HTML = (PACKAGE / "nodes" / "hubqueue.html").read_text()
TABLE = PACKAGE / "resources" / "options.js"  # a table of the engine, as it writes it
MAX_LINES = 400  # of a script; a longer file holds more than one thing


def catalogue(language: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((PACKAGE / "nodes" / "locales" / language / "hubqueue.json").read_text())
    return found


def keys(texts: dict[str, Any], before: str = "") -> Iterator[str]:
    for key, value in texts.items():
        if isinstance(value, dict):
            yield from keys(value, f"{before}{key}.")
        else:
            yield before + key


def scripts() -> list[Path]:
    return [path for path in sorted(PACKAGE.rglob("*.js")) if "node_modules" not in path.parts]


# the scorecard, by the names of its rules


def test_p01_p03_p04_p05_license_repository_scope_keyword() -> None:
    assert MANIFEST["license"] == "Apache-2.0"
    assert (PACKAGE / "LICENSE").read_text().strip() == (PACKAGE.parent / "LICENSE").read_text().strip()
    assert MANIFEST["repository"]
    assert MANIFEST["bugs"]
    assert MANIFEST["name"].startswith("@hubqueue/node-red-")
    assert "node-red" in MANIFEST["keywords"]


def test_p06_p07_versions_of_node_red_and_node() -> None:
    assert MANIFEST["node-red"]["version"] == ">=4.1.0"  # both that are maintained, each of them tested
    assert MANIFEST["engines"]["node"] == ">=20"  # includes what the newest Node-RED needs


def test_n02_there_is_an_example_for_every_type() -> None:
    used = {node["type"] for path in EXAMPLES for node in json.loads(path.read_text())}
    assert used >= TYPES


def test_d01_d03_one_dependency_by_range() -> None:
    assert MANIFEST["dependencies"] == {"@msgpack/msgpack": "^3.1.3"}
    assert not {"scripts", "devDependencies"} & set(MANIFEST)


# the editor's side


def test_every_type_is_registered_with_its_template_and_help() -> None:
    for type in TYPES:
        assert f"RED.nodes.registerType('{type}'" in HTML
        assert f'data-template-name="{type}"' in HTML
        for language in LANGUAGES:
            help = (PACKAGE / "nodes" / "locales" / language / "hubqueue.html").read_text()
            (own,) = re.findall(rf'data-help-name="{type}">(.*?)</script>', help, re.DOTALL)
            assert own.strip().startswith("<p>"), "the first sentence is the tooltip of the palette"


def test_icons_are_there() -> None:
    named = set(re.findall(r"icon: '([^']+)'", HTML))
    assert named == {path.name for path in (PACKAGE / "nodes" / "icons").iterdir()}
    assert all(name.startswith("hubqueue-") for name in named)  # names of icons are global


def test_languages_have_the_same_texts() -> None:
    first, *others = (set(keys(catalogue(language))) for language in LANGUAGES)
    for other in others:
        assert other == first


@pytest.mark.parametrize("language", LANGUAGES)
def test_texts_that_are_used_exist(language: str) -> None:
    known = set(keys(catalogue(language)))
    used = set(re.findall(r'data-i18n="(?:\[\w+\])?(hubqueue\.[\w.]+)"', HTML))
    for path in scripts():
        text = path.read_text()
        used |= set(re.findall(r"RED\._\('(hubqueue\.[\w.]+)'", text))
        used |= {f"hubqueue.status.{key}" for key in re.findall(r"word\('(\w+)'", text)}
        used |= {f"hubqueue.outbox.{key}" for key in re.findall(r"tell\('(\w+)'", text)}
        used |= {f"hubqueue.{key}" for key in re.findall(r"\btext\('([\w.]+)'", text)}
    assert len(used) > 100
    assert used - known == set()


@pytest.mark.parametrize("language", LANGUAGES)
def test_statuses_are_short(language: str) -> None:
    long = {
        key: text
        for key, text in catalogue(language)["hubqueue"]["status"].items()
        if len(text.replace("__n__", "1000")) >= 20
    }
    assert long == {}


def test_the_table_of_job_options_is_fresh() -> None:
    begin, _, table = TABLE.read_text().partition("})(\n")
    assert begin.startswith("/* ")
    assert table == FILE.read_text(encoding="utf-8") + ");\n", "run script/options"


@pytest.mark.parametrize("language", LANGUAGES)
def test_help_and_manual_name_every_option_of_a_job(language: str) -> None:
    help = (PACKAGE / "nodes" / "locales" / language / "hubqueue.html").read_text()
    manual = (PACKAGE.parent / "docs" / "node-red.md").read_text().partition("### The options of a job")[2]
    of_enqueue = help.partition('data-help-name="hubqueue-enqueue"')[2].partition("</script>")[0]
    names = {option.json for option in options_at(Door.NODE_RED)}
    assert {name for name in names if f"<code>{name}</code>" not in of_enqueue} == set()
    assert {option.json for option in OPTIONS if f"`{option.json}`" not in manual} == set()
    written = re.findall(r"<code>(\w+)</code>", of_enqueue.partition('optional">enqueue')[2].partition("</dd>")[0])
    assert set(written) - names == {"queue", "headers"}


def test_fields_have_labels() -> None:
    fields = set(re.findall(r'id="(node-(?:config-)?input-[\w-]+)"', HTML)) - set(
        re.findall(r'type="hidden" id="([^"]+)"', HTML)
    )
    labels = set(re.findall(r'<label for="([^"]+)"', HTML))
    assert fields == labels


# what is packed


def test_scripts_are_short_and_say_what_they_hold() -> None:
    for path in scripts():
        text = path.read_text()
        assert path == TABLE or len(text.splitlines()) <= MAX_LINES, path
        assert re.match(r"('use strict';\n/\*\*|/\*)", text), f"{path} does not say what it holds"


def test_there_is_one_version() -> None:
    changes = (PACKAGE / "CHANGELOG.md").read_text()
    newest = re.search(r"^## \[([^\]]+)\]", changes, re.MULTILINE)
    assert newest is not None
    assert newest.group(1) == MANIFEST["version"]


def test_the_tarball_has_what_is_needed_and_nothing_else() -> None:
    root = installed() / "node_modules" / "@hubqueue" / "node-red-hubqueue"
    packed = {path.relative_to(root) for path in root.rglob("*") if path.is_file()}
    source = {path.relative_to(PACKAGE) for path in PACKAGE.rglob("*") if path.is_file()}
    assert packed == source


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_examples_are_small_flows_of_our_own_and_core_nodes(path: Path) -> None:
    nodes = json.loads(path.read_text())
    tabs = [node for node in nodes if node["type"] == "tab"]
    assert len(tabs) == 1
    assert any(node["type"] == "comment" and node["info"] for node in nodes)
    core = {"tab", "comment", "inject", "debug", "function", "catch", "complete", "delay", "split", "join"}
    core |= {"http request", "mqtt out", "mqtt-broker"}
    assert {node["type"] for node in nodes} <= TYPES | core
    ids = {node["id"] for node in nodes}
    assert len(ids) == len(nodes)
    assert all(target in ids for node in nodes for output in node.get("wires", []) for target in output)
    assert not any("credentials" in node for node in nodes)


@pytest.mark.slow
def test_examples_deploy_without_an_error(hub: HubProcess, red: NodeRed) -> None:
    nodes: dict[str, Any] = {}
    for path in EXAMPLES:
        nodes.update({node["id"]: node for node in json.loads(path.read_text())})
    for node in nodes.values():
        if node["type"] == "hubqueue-server":
            node.update(host="127.0.0.1", port=str(hub.port))
    red.deploy(list(nodes.values()))
    red.wait_for(lambda: "connected host" in red.log())
    first = json.loads(EXAMPLES[0].read_text())
    (button,) = [node["id"] for node in first if node["type"] == "inject"]
    red.inject(button)
    flows = red.request("GET", "/flows/state")
    assert flows["state"] == "start"
    errors = [line for line in red.log().splitlines() if "[error]" in line]
    assert [line for line in errors if "127.0.0.1:6790 cannot be reached" not in line] == []  # the other hub
    assert "Waiting for missing types" not in red.log()
