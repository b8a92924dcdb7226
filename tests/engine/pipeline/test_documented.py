"""docs/pipelines.md: every step and every key of it stands there, and every example works."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hubqueue.config import pipelines, steps
from hubqueue.config.checks import Section
from hubqueue.config.load import load
from hubqueue.config.pipelines import read_pipeline
from support.pipelines import written
from support.shell import Shell

DOCS = (Path(__file__).parents[3] / "docs" / "pipelines.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", DOCS, re.MULTILINE | re.DOTALL)
STEPS = [text for kind, text in BLOCKS if kind == "yaml" and text.startswith("- ")]
(WHOLE,) = [text for kind, text in BLOCKS if kind == "yaml" and text.startswith("# pipelines/")]
(HUB,) = [text for kind, text in BLOCKS if kind == "yaml" and text.startswith("# hubqueue.yaml")]
(TABLE,) = [text for kind, text in BLOCKS if kind == "csv"]
(SHOWN,) = [text for kind, text in BLOCKS if kind == "console"]


@pytest.mark.parametrize("block", STEPS, ids=lambda block: re.sub(r"\W+", " ", block)[:20])
def test_an_example_is_a_pipeline_that_works(block: str, tmp_path: Path) -> None:
    (tmp_path / "devices.csv").write_text(TABLE, encoding="utf-8")
    assert len(read_pipeline(written(tmp_path, block), {}).chain().places) == 1


def test_the_hub_finds_the_pipeline(tmp_path: Path) -> None:
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "minutes.yaml").write_text(WHOLE, encoding="utf-8")
    (tmp_path / "hubqueue.yaml").write_text(HUB, encoding="utf-8")
    (found,) = load(tmp_path / "hubqueue.yaml", environ={}).pipelines
    assert found.name == "minutes"
    assert [step.name for step in found.steps] == ["filter", "convert", "flag", "window"]


def test_a_trial_prints_what_is_shown(tmp_path: Path) -> None:
    (tmp_path / "pipelines").mkdir()
    (tmp_path / "pipelines" / "minutes.yaml").write_text(WHOLE, encoding="utf-8")
    samples = re.findall(r"^messages.jsonl:\d  (.*)$", SHOWN, re.MULTILINE)
    at = "2026-11-22T10:00:00Z"  # one window for all
    lines = [f'{{"data": {sample}, "at": "{at}"}}' for sample in samples]
    (tmp_path / "messages.jsonl").write_text("\n".join(lines), encoding="utf-8")
    command, _, expected = SHOWN.partition("\n")
    printed = Shell(tmp_path)(*command.removeprefix("$ hubqueue ").split()).stdout
    assert printed == expected


def test_every_step_and_every_key_stands_in_the_docs() -> None:
    for kind, check in steps.kinds(Path()).items():
        assert f"\n## {kind}\n" in DOCS
        section = DOCS.partition(f"\n## {kind}\n")[2].partition("\n## ")[0]
        written = set(re.findall(r"`(\w+)", section)) | set(re.findall(r"(\w+):", section))
        assert keys(check) - written == set()


def test_every_key_of_the_file_stands_in_the_docs() -> None:
    check = pipelines.pipeline(Path("p.yaml"), None)
    assert isinstance(check, Section)
    for key in check.keys:
        assert f"| `{key}` |" in DOCS


def keys(check: object) -> set[str]:
    if not isinstance(check, Section):
        return set()
    return {*check.keys}.union(*(keys(below) for below in check.keys.values()))
