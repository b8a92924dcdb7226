"""Every door that takes an expression, with data of every kind: null and absent are one thing behind all of them.

DOORS lists where the engine makes expressions; a new place fails the first test until it has its entry here and its
way to be driven below. What is right is said in plain words: what a text door writes, what a value door takes.
"""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings

from support.condition_doors import CONDITIONS
from support.expressions import either, maps, text_of, words_of_python
from support.pipelines import NOW_MS, Bench
from support.text_doors import TEXTS
from support.value_doors import VALUES

PACKAGE = Path(__file__).parents[3] / "engine" / "hubqueue"
KINDS = {"Condition", "QueueName", "Text", "Topic", "Url", "Value"}
CHECKED: tuple[str, ...] = ()  # compiled to find mistakes; another place runs it
DOORS: dict[str, dict[str, tuple[str, ...]]] = {  # file: what it makes of expressions, and the doors that drive it
    "config/destinations/influx.py": {
        "Text": ("influx measurement",),
        "Value": ("influx tag", "influx tag text", "influx field", "influx time"),
    },
    "config/destinations/kafka.py": {"Text": CHECKED, "Value": CHECKED},
    "config/destinations/mqtt.py": {"Topic": ("mqtt sink topic",)},
    "config/destinations/postgres.py": {"Value": CHECKED},
    "config/enrich.py": {"Text": ("enrich key",), "Url": ("look-up url",)},
    "config/flags.py": {"Text": ("flag by",)},
    "config/pipelines.py": {"Topic": ("mqtt sink topic",)},
    "config/rules.py": {"Condition": CHECKED, "Text": CHECKED},
    "config/sources.py": {"Condition": CHECKED, "Text": CHECKED},
    "config/steps.py": {
        "Condition": ("filter",),
        "Text": ("output name", "fleet name"),
        "Value": ("map compute", "map missing null", "map missing refuse"),
    },
    "forward/sinks/kafka/records.py": {"Text": ("kafka topic", "kafka key"), "Value": ("kafka time",)},
    "forward/sinks/postgres/rows.py": {
        "Value": ("postgres column", "postgres required column", "postgres text column")
    },
    "forward/sinks/postgres/table.py": {"Value": CHECKED},
    "ingest/mapper.py": {"Condition": ("mqtt where", "source where")},
    "ingest/template.py": {
        "QueueName": ("mqtt queue", "source queue"),
        "Text": (
            *("mqtt name", "mqtt dedup key", "mqtt group"),
            *("source name", "source dedup key", "source group"),
        ),
    },
}
FIELDS = ("map pick", "map rename")  # paths in the data, which are no expressions


def test_every_place_that_makes_expressions_is_listed() -> None:
    found: dict[str, set[str]] = {}
    for file in PACKAGE.rglob("*.py"):
        name = file.relative_to(PACKAGE).as_posix()
        source = file.read_text(encoding="utf-8")
        if "hubqueue.expression" not in source or name.startswith("expression/"):
            continue
        tree = ast.parse(source)
        imported = {
            each.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module == "hubqueue.expression"
            for each in node.names
        }
        used = {
            node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id in KINDS & imported
        } & made_in(tree)
        if used:
            found[name] = used
    assert found == {name: set(kinds) for name, kinds in DOORS.items()}
    driven = {door for kinds in DOORS.values() for doors in kinds.values() for door in doors}
    assert driven | {*FIELDS} == TEXTS.keys() | CONDITIONS.keys() | VALUES.keys()


def made_in(tree: ast.AST) -> set[str]:
    """Classes that are called, or handed over to be called."""
    called = {node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
    handed = {
        each.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and not (isinstance(node.func, ast.Name) and node.func.id == "isinstance")
        for each in node.args
        if isinstance(each, ast.Name)
    }
    return called | handed


@pytest.mark.parametrize("name", TEXTS)
def test_text_is_never_made_of_what_is_missing(name: str, tmp_path: Path) -> None:
    door = TEXTS[name](tmp_path)
    field = "payload.t" if name.startswith(("source ", "mqtt ")) and name != "mqtt sink topic" else "data.t"

    @settings(max_examples=30, suppress_health_check=list(HealthCheck))
    @given(maps)
    @example({})
    @example({"t": None})
    @example({"t": True})
    @example({"t": 5.0})
    def run(data: dict[str, Any]) -> None:
        made, said = either(lambda: door(data))
        value = data.get("t")
        if value is None:
            assert made is None
            assert said.endswith(f"{field} is null" if "t" in data else f"there is no {field}"), said
        elif made is None:  # for what else a door does not take: a topic with `#`, a queue name with braces
            assert not isinstance(value, bool | int | float)
            assert value not in ("abc", "2.5", "x-y", "hall"), said
            assert "is null" not in said
            assert "there is no" not in said
        else:
            assert made == text_of(value)
        assert words_of_python(said.replace(repr(value), "")) == set()

    run()


NUMBERS = (int, float)
ASKED: dict[str, Callable[[Any, Any], Any]] = {  # None: the kinds do not go together
    "data.t > 5": lambda t, u: False if t is None else t > 5 if isinstance(t, NUMBERS) else None,
    "data.t <= 5": lambda t, u: False if t is None else t <= 5 if isinstance(t, NUMBERS) else None,
    "data.t == 5": lambda t, u: t is not None and t == 5,
    "data.t != 5": lambda t, u: t is None or t != 5,
    "data.t in [5, 'abc']": lambda t, u: t is not None and t in [5, "abc"],
    "data.t not in [5, 'abc']": lambda t, u: t is None or t not in [5, "abc"],
    "data.t == data.u": lambda t, u: t is not None and t == u,
    "data.t is none": lambda t, u: t is None,
    "data.t is defined": lambda t, u: t is not None,
    "not data.t": lambda t, u: not t,
    "data.t is number and data.t > 5 or data.u == true": lambda t, u: (
        (type(t) in NUMBERS and t > 5) or (u is not None and u == True)  # noqa: E712  # 1 counts
    ),
    "data.t|default(7) == 7": lambda t, u: t is None or t == 7,
    "data.t * 2 == 10": lambda t, u: False if t is None else t * 2 == 10 if isinstance(t, NUMBERS) else None,
}


@pytest.mark.parametrize("name", CONDITIONS)
def test_a_condition_is_what_the_table_says(name: str, tmp_path: Path) -> None:
    doors = {text: CONDITIONS[name](tmp_path, text) for text in ASKED}

    @settings(max_examples=30, suppress_health_check=list(HealthCheck))
    @given(maps)
    @example({})
    @example({"t": None})
    def run(data: dict[str, Any]) -> None:
        for text, door in doors.items():
            right = ASKED[text](data.get("t"), data.get("u"))
            found, said = either(lambda door=door: door(data))
            assert (text, found) == (text, right if right is None else bool(right))
            assert words_of_python(said) == set()

    run()


@pytest.mark.parametrize("name", VALUES)
def test_null_is_taken_as_what_is_not_there(name: str, tmp_path: Path) -> None:
    door = VALUES[name](tmp_path)

    @settings(max_examples=30, suppress_health_check=list(HealthCheck))
    @given(maps)
    @example({})
    @example({"t": None})
    def run(data: dict[str, Any]) -> None:
        assert door(data) == data.get("t")

    run()


# -- fields of steps, which are paths and no expressions


@pytest.mark.parametrize("data", [{}, {"t": None}, {"t": {"u": None}}])
async def test_steps_take_null_as_absent(data: dict[str, Any], tmp_path: Path) -> None:
    for field in ("t.u", "t") if data.get("t") is None else ("t.u",):
        convert = Bench(tmp_path, f"- convert: {{{field}: {{from: degC, to: degF}}}}")
        assert convert.one(data) == data
        flag = Bench(tmp_path, f"- flag: {{range: {{{field}: {{min: 0, max: 1}}}}}}")
        assert flag.one(data) == {**data, "flags": []}
        null = {"t": {"t": None}, "t.u": {"t": {"u": None}}}[field]
        gone = "is null" if data == null else "is not there"
        by = Bench(tmp_path, f"- window: {{every: 1s, by: [{field}]}}")
        assert by.refused(data) == f"window: {field}, which it is grouped by, {gone}"
        time = Bench(tmp_path, f"- window: {{every: 1s, time: {field}}}")
        assert time.refused(data) == f"window: {field}, its time, {gone}"
        values = Bench(tmp_path, f"- window: {{every: 1s, values: {{{field}: [mean, count]}}}}")
        assert values.run(data) == []
        (closed,) = await values.close(NOW_MS + 60_000)
        name = field.replace(".", "_")
        assert (closed[f"{name}_mean"], closed[f"{name}_count"], closed["count"]) == (None, 0, 1)


async def test_numbers_group_by_what_they_are(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "- window: {every: 1s, by: [t]}")
    for value in (5, 5.0, "5", 5.5, True, 1, 0.0, -0.0):
        assert bench.run({"t": value}) == []
    counts = sorted((json.dumps(each["t"]), each["count"]) for each in await bench.close(NOW_MS + 60_000))
    assert counts == [('"5"', 1), ("0", 2), ("1", 1), ("5", 2), ("5.5", 1), ("true", 1)]
    assert msgspec.json.encode(5.0) == b"5.0"  # which is why it has to be said
