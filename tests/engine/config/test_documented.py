"""docs/config.md names every key, flag and variable, and its example is a configuration that works."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from hubqueue.config import schema
from hubqueue.config.checks import Section
from hubqueue.config.load import load
from hubqueue.config.options import OPTIONS

DOCS = (Path(__file__).parents[3] / "docs" / "config.md").read_text(encoding="utf-8")
ENVIRON = {"EDGE_TOKEN": "a", "CENTRAL_TOKEN": "b", "MQTT_PASSWORD": "c"}


def example() -> str:
    (text,) = re.findall(r"^```yaml\n(.*?)^```", DOCS, re.MULTILINE | re.DOTALL)
    assert isinstance(text, str)
    return text


def known_keys(check: Any, path: str = "") -> Iterator[str]:
    if isinstance(check, Section):
        for key, below in check.keys.items():
            yield f"{path}{key}"
            yield from known_keys(below, f"{path}{key}.")
    elif (below := getattr(check, "check", None)) is not None:
        yield from known_keys(below, path)


def test_the_example_is_a_configuration_that_works(tmp_path: Path) -> None:
    for name in ("tls/hub.pem", "tls/hub.key", "tls/ca.pem", "secrets/mqtt", "secrets/central", "secrets/grafana"):
        file = tmp_path / name
        file.parent.mkdir(exist_ok=True)
        file.write_text("x", encoding="utf-8")
    file = tmp_path / "hubqueue.yaml"
    file.write_text(example(), encoding="utf-8")
    config = load(file, environ=ENVIRON)
    assert config.mqtt is not None
    assert len(config.mqtt.rules) == 2


def test_every_key_stands_in_the_docs() -> None:
    written = {line.split(":")[0].strip(" -#\"'") for line in example().splitlines()}
    written |= set(re.findall(r"[{,] *(\w+):", example()))
    written |= {"password", "token", "token_file"}.intersection(re.findall(r"\w+(?=:)", example()))
    missing = sorted({key for key in known_keys(schema.config(Path())) if key.rpartition(".")[2] not in written})
    assert missing == []


def test_every_flag_and_variable_stands_in_the_docs() -> None:
    for option in OPTIONS:
        key = ".".join(map(str, option.path))
        assert f"| `{option.flag}` | `{option.variable}` | `{key}`" in DOCS


def test_the_example_shows_every_section() -> None:
    section = schema.config(Path())
    assert isinstance(section, Section)
    assert set(yaml.safe_load(example())) == set(section.keys)
