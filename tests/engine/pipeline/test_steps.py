"""filter, map, convert and validate: what they make of records, and of data that nobody meant to send."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from hubqueue.pipeline import units
from support.hub_process import clean_environment
from support.pipelines import Bench, mistakes


def test_a_filter_lets_through_what_it_is_true_for(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "- filter: \"data.value > 20 and name == 'default'\"")
    assert bench.run({"value": 21}) == [{"value": 21}]
    assert bench.run({"value": 19}) == []
    assert bench.run({}) == []
    assert bench.refused({"value": "warm"}).startswith('filter: "data.value > 20')


@pytest.mark.parametrize(
    ("value", "number"),
    [
        (1, True),
        (2.5, True),
        (2**64 - 1, True),
        (True, False),
        (math.nan, False),
        (math.inf, False),
        ("1", False),
        (None, False),
    ],
)
def test_a_number_is_what_one_can_calculate_with(tmp_path: Path, value: Any, number: bool) -> None:
    assert bool(Bench(tmp_path, '- filter: "data.v is number"').run({"v": value})) is number


def test_a_filter_takes_what_is_not_there_as_unequal(tmp_path: Path) -> None:
    for text, passes in (
        ("data.x == 3", 0),
        ("data.x != 3", 1),
        ("data.x < 3", 0),
        ("data.x.y > 3", 0),
        ("not data.x", 1),
    ):
        assert len(Bench(tmp_path, f'- filter: "{text}"').run({})) == passes


def test_map_picks_drops_renames_and_computes(tmp_path: Path) -> None:
    bench = Bench(
        tmp_path,
        """
- map:
    pick: [device, value, position.lat]
    drop: [device]
    rename: {value: temperature}
    constant: {site: hall, position.floor: 2}
    compute: {fahrenheit: "data.value * 9 / 5 + 32", at: {ms: at_ms, ids: [id, "'x'"]}, device_id: "data.device|upper"}
""",
    )
    assert bench.one({"device": "a", "value": 20, "noise": 1, "position": {"lat": 1.5, "lon": 2.5}}) == {
        "temperature": 20,
        "site": "hall",
        "position": {"lat": 1.5, "floor": 2},
        "fahrenheit": 68.0,
        "at": {"ms": 1_764_000_000_000, "ids": ["r1", "x"]},
        "device_id": "A",
    }


def test_without_pick_everything_is_kept(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "- map: {drop: [a.b, nothing], compute: {n: data.a.c}}")
    assert bench.one({"a": {"b": 1, "c": 2}, 7: "odd key"}) == {"a": {"c": 2}, 7: "odd key", "n": 2}


@pytest.mark.parametrize(
    ("missing", "made"),
    [("leave-out", {"y": 2, "in": {"y": 2}}), ("null", {"x": None, "y": 2, "z": None, "in": {"x": None, "y": 2}})],
)
def test_a_value_that_is_not_there_is_treated_as_told(tmp_path: Path, missing: str, made: Any) -> None:
    steps = f'- map: {{pick: [x, y], compute: {{z: "data.x * 2", in: {{x: data.x, y: data.y}}}}, missing: {missing}}}'
    assert Bench(tmp_path, steps).one({"y": 2}) == made


def test_a_value_that_is_not_there_can_refuse_the_record(tmp_path: Path) -> None:
    bench = Bench(tmp_path, '- map: {compute: {z: "data.x ~ data.y"}, missing: refuse}')
    assert bench.refused({"y": 1}) == "map: z needs a value: there is no data.x"
    assert bench.refused({"x": None, "y": 1}) == "map: z needs a value: data.x is null"
    assert bench.one({"x": 1, "y": 2})["z"] == "12"


def test_data_that_is_no_map_can_be_mapped(tmp_path: Path) -> None:
    assert Bench(tmp_path, "- map: {compute: {value: data}}").one(21.5) == {"value": 21.5}
    assert Bench(tmp_path, "- map: {pick: [a]}").refused([1]) == "map: its data is a list and no map"
    assert (
        Bench(tmp_path, "- map: {constant: {a.b: 1}}").refused({"a": 3})
        == "map: a.b cannot be set: a is a number and no map"
    )


def test_text_is_a_number_only_when_asked_for(tmp_path: Path) -> None:
    bench = Bench(tmp_path, '- map: {compute: {n: "data.n|number"}}')
    assert bench.one({"n": " 21.5 "})["n"] == 21.5
    assert bench.one({"n": 3})["n"] == 3
    for odd in ("warm", "nan", "1e999", True, math.nan, "9" * 500, "99999999999999999999"):
        assert "n cannot be worked out" in bench.refused({"n": odd})


def test_what_an_expression_cannot_work_out_refuses_the_record(tmp_path: Path) -> None:
    bench = Bench(tmp_path, '- map: {compute: {r: "1 / data.n", l: "data.l|map(\'upper\')"}}')
    assert bench.refused({"n": 0}) == "map: r cannot be worked out: cannot divide by 0"
    assert bench.one({"n": 2, "l": ["a"]}) == {"n": 2, "l": ["A"], "r": 0.5}


@pytest.mark.parametrize(
    ("source", "target", "value", "converted"),
    [
        ("degF", "degC", 212, 100.0),
        ("degC", "degF", -40, -40.0),
        ("degC", "K", 20, 293.15),
        ("psi", "kPa", 14.5, 99.97398),
        ("km/h", "m/s", 36, 10.0),
        ("kWh", "J", 1, 3_600_000.0),
        ("L/min", "m^3/h", 10, 0.6),
        ("percent", "dimensionless", 45, 0.45),
    ],
)
def test_units_are_converted(tmp_path: Path, source: str, target: str, value: float, converted: float) -> None:
    bench = Bench(tmp_path, f'- convert: {{a.t: {{from: "{source}", to: "{target}"}}}}')
    found = bench.one({"a": {"t": value, "other": 1}})
    assert found == {"a": {"t": pytest.approx(converted, rel=1e-6), "other": 1}}


def test_whole_numbers_stay_exact_and_digits_round(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "- convert: {t: {from: degF, to: degC}, p: {from: psi, to: bar, digits: 2}}")
    assert [bench.one({"t": t})["t"] for t in (32, 212, 50)] == [0.0, 100.0, 10.0]
    assert bench.one({"p": 14.5})["p"] == 1.0


def test_what_is_not_there_is_not_converted_and_what_is_no_number_is_refused(tmp_path: Path) -> None:
    bench = Bench(tmp_path, "- convert: {t: {from: km, to: m}}")
    assert bench.one({"u": 1}) == {"u": 1}
    assert bench.one({"t": None}) == {"t": None}
    for odd, kind in (("20", "text"), (True, "true or false"), ([1], "a list"), (math.nan, "not finite")):
        assert bench.refused({"t": odd}) == f"convert: t is {kind} and cannot be converted"
    assert bench.refused({"t": 1e306}) == "convert: t is too large to be converted"
    assert bench.one({"t": 2**64 - 1})["t"] == pytest.approx(1.8446744073709552e22)


@pytest.mark.parametrize(
    ("source", "target", "words"),
    [
        ("degX", "degC", "is no unit that is known"),
        ("degC", "bar", "degC measures [temperature] and bar measures"),
        ("dBm", "mW", "is not a straight line"),
        ("5 m", "m", "is no unit"),
        ("9**9**9**9 m", "m", "is no unit"),
        ("m**(9", "m", "is no unit"),
    ],
)
def test_units_that_make_no_sense_are_mistakes(tmp_path: Path, source: str, target: str, words: str) -> None:
    found = mistakes(tmp_path, f'- convert: {{t: {{from: "{source}", to: "{target}"}}}}')
    assert words in found["steps[0].convert.t"]


def test_data_that_does_not_fit_its_schema_is_refused(tmp_path: Path) -> None:
    bench = Bench(
        tmp_path,
        """
- validate:
    schema:
      type: object
      required: [device]
      properties: {value: {type: number, maximum: 85}, time: {type: string, format: date-time}}
""",
    )
    assert bench.run({"device": "a", "value": 21}) == [{"device": "a", "value": 21}]
    assert bench.refused({"value": 21}) == 'validate: "device" is a required property'
    assert bench.refused({"device": "a", "value": 90}).startswith("validate: value: 90 is greater than")
    assert "date-time" in bench.refused({"device": "a", "time": "yesterday"})


@pytest.mark.parametrize("odd", [{7: 1}, {"a": b"x"}])
def test_data_that_json_does_not_know_is_refused_by_a_schema(tmp_path: Path, odd: Any) -> None:
    bench = Bench(
        tmp_path, "- validate: {schema: {additionalProperties: {minProperties: 1, minimum: 5}, minProperties: 1}}"
    )
    assert "cannot be compared with a schema" in bench.refused(odd)


def test_a_schema_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text('{"required": ["a"]}', encoding="utf-8")
    (tmp_path / "s.yaml").write_text("required: [a]", encoding="utf-8")
    for name in ("s.json", "s.yaml"):
        bench = Bench(tmp_path, f"- validate: {{schema_file: {name}}}")
        assert bench.run({"a": 1})
        assert bench.refused({})


def test_a_schema_fetches_nothing_and_its_patterns_do_not_run_away(tmp_path: Path) -> None:
    found = mistakes(tmp_path, '- validate: {schema: {$ref: "http://127.0.0.1:1/schema.json"}}')
    assert "nothing is fetched" in found["steps[0].validate.schema"]
    bench = Bench(tmp_path, '- validate: {schema: {properties: {a: {pattern: "^(a+)+$"}}}}')
    assert bench.refused({"a": "a" * 50_000 + "b"})  # Python's own expressions would never come back


@pytest.mark.parametrize(
    ("steps", "path", "words"),
    [
        ('- filter: "dat.value > 3"', "steps[0].filter", "did you mean 'data'"),
        ('- filter: "data.value >"', "steps[0].filter", "is not valid"),
        ('- filter: "{{ data.value }}"', "steps[0].filter", "without braces"),
        ('- filter: "data.value|flot > 1"', "steps[0].filter", "did you mean 'float'"),
        ('- filter: "data.v is numbr"', "steps[0].filter", "did you mean 'number'"),
        ('- filter: "1 if data.x else foo(3)"', "steps[0].filter", "there is no function 'foo'"),
        ("- filter: 3", "steps[0].filter", "must be text"),
        ("- map: {compute: {site: hall}}", "steps[0].map.compute.site", "write text in quotes"),
        ("- map: {compute: {a: {b: 3}}}", "steps[0].map.compute.a.b", "put it under constant"),
        ("- map: {pick: [a..b]}", "steps[0].map.pick[0]", "is not valid"),
        ("- map: {pik: [a]}", "steps[0].map.pik", "did you mean 'pick'"),
        ("- validate: {schema: {type: objet}}", "steps[0].validate.schema", "objet"),
        ("- validate: {}", "steps[0].validate", "needs schema or schema_file"),
        ("- validate: {schema_file: no.json}", "steps[0].validate.schema_file", "does not exist"),
        ("- convert: {}", "steps[0].convert", "converts nothing"),
        ("- convert: {t: {from: m}}", "steps[0].convert.t.to", "is missing"),
        ("- wndow: {}", "steps[0].wndow", "did you mean 'window'"),
        ("- {filter: 'true', map: {}}", "steps[0]", "2 kinds of step"),
        ("- filter", "steps[0]", "must be one step"),
    ],
)
def test_mistakes_are_found_with_their_path_and_a_hint(tmp_path: Path, steps: str, path: str, words: str) -> None:
    found = mistakes(tmp_path, steps)
    assert list(found) == [path]
    assert words in found[path]


@pytest.mark.parametrize(
    ("library", "steps", "path"),
    [
        ("pint", "- convert: {t: {from: m, to: km}}", "steps[0].convert.t"),
        ("jsonschema_rs", "- validate: {schema: {}}", "steps[0].validate.schema"),
    ],
)
def test_a_library_that_is_missing_is_a_mistake_with_a_hint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str, steps: str, path: str
) -> None:
    units._registry.cache_clear()
    monkeypatch.setitem(sys.modules, library, None)
    assert "pip install 'hubqueue[pipelines]'" in mistakes(tmp_path, steps)[path]


def test_a_hub_without_pipelines_loads_nothing_of_them(tmp_path: Path) -> None:
    (tmp_path / "hubqueue.yaml").write_text("data_path: hub.db", encoding="utf-8")
    program = """
import sys, hubqueue.app
from hubqueue.config.load import load
load()
print([name for name in sys.modules if name in ("pint", "jsonschema_rs") or name.startswith("hubqueue.pipeline.")])
"""
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
