"""docs/expressions.md: its examples give what it says, and its lists are the language's."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from hubqueue.expression import MISSING, Value, work
from hubqueue.expression.asked import TESTS
from hubqueue.expression.filters import FILTERS, INNER, METHODS
from hubqueue.expression.functions import FUNCTIONS
from hubqueue.expression.parsing import MAX_CHARS, MAX_DEPTH, MAX_PARTS
from support.expressions import tried

FOLDER = Path(__file__).parents[3] / "docs"
DOCS = (FOLDER / "expressions.md").read_text(encoding="utf-8")
EXAMPLES = re.findall(r"^\| `(.+)` \| `(\{.*\})` \| (.+) \|$", DOCS, re.MULTILINE)


@pytest.mark.parametrize(("text", "data", "gives"), EXAMPLES)
def test_an_example_gives_what_is_said(text: str, data: str, gives: str) -> None:
    made = Value(text.replace("\\|", "|"), ("data",))
    found = tried(lambda: made.of({"data": json.loads(data)}))
    if gives.startswith("refused: "):
        assert str(found) == gives.removeprefix("refused: ")
    elif gives == "missing":
        assert found is MISSING
    else:
        assert found == json.loads(gives.strip("`"))


def listed(kind: str) -> set[str]:
    (line,) = re.findall(rf"^{kind}: (.*)$", DOCS, re.MULTILINE)
    return set(re.findall(r"`(\w+)`", line.split(". `")[0].split(". A key")[0]))


def test_every_word_of_the_language_is_listed() -> None:
    assert listed("Filters") == FILTERS.keys() | INNER.keys()
    assert listed("Tests") == {name for name in TESTS if name.isalpha()}
    assert listed("Functions") == FUNCTIONS.keys()
    assert listed("Methods of text") == METHODS.keys()


def test_the_bounds_are_those_of_the_engine() -> None:
    for bound in (MAX_CHARS, MAX_PARTS, MAX_DEPTH, work.UNITS, work.MAX_TEXT, work.MAX_WIDTH, work.MAX_ITEMS):
        assert f"{bound:,}" in DOCS.partition("## Bounds")[2]
    numbers = Value("data|sum", ("data",))
    assert numbers.of({"data": [1] * 40_000}) == 40_000
    assert len(Value("data|map('upper')", ("data",)).of({"data": ["a"] * 9_000})) == 9_000


@pytest.mark.parametrize("guide", ["mqtt.md", "pipelines.md", "forwarding.md", "sources.md", "config.md"])
def test_the_truth_is_written_once(guide: str) -> None:
    text = (FOLDER / guide).read_text(encoding="utf-8")
    assert "(expressions.md" in text
    assert "false and `!=` true" not in text
