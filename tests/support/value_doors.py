"""Doors that take a value: what each takes for data.t, None for nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hubqueue.expression import Text, Value
from hubqueue.forward.content import NAMES, Unfit
from hubqueue.forward.sinks.influx.lines import Shape
from hubqueue.forward.sinks.kafka.destination import Form
from hubqueue.forward.sinks.kafka.records import Records
from hubqueue.forward.sinks.postgres.rows import Rows
from hubqueue.forward.sinks.postgres.table import Column
from hubqueue.forward.verdict import Rejected
from support.expressions import either, parcel, words_of_python
from support.pipelines import Bench


def map_compute(folder: Path) -> Callable[[Any], Any]:
    bench = Bench(folder, "- map: {pick: [], compute: {x: data.t}}")
    return lambda data: bench.one(data).get("x")


def map_pick(folder: Path) -> Callable[[Any], Any]:
    bench = Bench(folder, "- map: {pick: [t]}")
    return lambda data: only_there(bench.one(data), "t")


def map_rename(folder: Path) -> Callable[[Any], Any]:
    bench = Bench(folder, "- map: {rename: {t: x}}")
    return lambda data: only_there(bench.one(data), "x")


def map_null(folder: Path) -> Callable[[Any], Any]:
    bench = Bench(folder, "- map: {pick: [], compute: {x: data.t}, missing: 'null'}")
    return lambda data: bench.one(data)["x"]


def map_refuse(folder: Path) -> Callable[[Any], Any]:
    bench = Bench(folder, "- map: {pick: [], compute: {x: data.t}, missing: refuse}")
    return lambda data: refused_as(data, lambda: bench.one(data)["x"])


def only_there(data: dict[str, Any], key: str) -> Any:
    """Null is left out, as what is missing."""
    assert data.get(key, ...) is not None
    return data.get(key)


def postgres_column(folder: Path) -> Callable[[Any], Any]:
    rows = Rows([Column("x", "data.t")], ["jsonb"])

    def run(data: Any) -> Any:
        (cell,) = rows.of("q", parcel(data))
        return None if cell is None else json.loads(cell)

    return run


def postgres_required(folder: Path) -> Callable[[Any], Any]:
    rows = Rows([Column("x", "data.t", required=True)], ["jsonb"])

    def run(data: Any) -> Any:
        row = rows.of("q", parcel(data))
        if isinstance(row, Rejected):
            raise Unfit(row.reason)
        return json.loads(row[0])

    return lambda data: refused_as(data, lambda: run(data))


def influx_tag(folder: Path) -> Callable[[Any], Any]:
    """Whether there is one: what it is written as is told in test_influx_lines."""
    shape = Shape(Text("m"), {"x": Value("data.t", NAMES)}, {"v": Value("1", NAMES)})
    return lambda data: taken_as(data, lambda: b",x=" in shape.line(parcel(data), "q"))


def influx_field(folder: Path) -> Callable[[Any], Any]:
    shape = Shape(Text("m"), fields={"x": Value("data.t", NAMES), "v": Value("1", NAMES)})
    return lambda data: taken_as(data, lambda: b"x=" in shape.line(parcel(data), "q"))


def influx_time(folder: Path) -> Callable[[Any], Any]:
    shape = Shape(Text("m"), fields={"v": Value("1", NAMES)}, time=Value("data.t", NAMES))
    return lambda data: refused_as(data, lambda: shape.line(parcel(data), "q"))


def kafka_time(folder: Path) -> Callable[[Any], Any]:
    records = Records(Form(topic="t", time="data.t"))
    return lambda data: refused_as(data, lambda: records.of("q", parcel(data)))


def taken_as(data: Any, run: Callable[[], bool]) -> Any:
    """The value itself where the door wrote it, or refused it for its kind."""
    written, said = either(run)
    assert words_of_python(said) == set()
    return data.get("t") if written or said or data.get("t") == "" else None


def refused_as(data: Any, run: Callable[[], Any]) -> Any:
    """None where the door says that it is missing; the value itself where the door takes it, or not, for its kind."""
    _, said = either(run)
    if said.endswith("data.t is null" if "t" in data else "there is no data.t"):
        return None
    assert "is null" not in said
    assert "there is no" not in said
    assert words_of_python(said) == set()
    return data.get("t")


VALUES: dict[str, Callable[[Path], Callable[[Any], Any]]] = {
    "map compute": map_compute,
    "map pick": map_pick,
    "map rename": map_rename,
    "map missing null": map_null,
    "map missing refuse": map_refuse,
    "postgres column": postgres_column,
    "postgres required column": postgres_required,
    "influx tag": influx_tag,
    "influx field": influx_field,
    "influx time": influx_time,
    "kafka time": kafka_time,
}
