"""Every door that takes an expression, with data of every kind: null and absent are one thing behind all of them.

DOORS lists where the engine makes expressions; a new place fails the first test until it has its entry here and its
way to be driven below. What is right is said in plain words: what a text door writes, what a value door takes.
"""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from hubqueue.broker.broker import Broker
from hubqueue.broker.message import Message
from hubqueue.errors import LinkDown
from hubqueue.expression import Text, Topic, Url, Value
from hubqueue.fleet.writer import Writer
from hubqueue.forward.content import NAMES, Unfit
from hubqueue.forward.parcel import Parcel
from hubqueue.forward.sinks.influx.lines import Shape
from hubqueue.forward.sinks.kafka.destination import Form
from hubqueue.forward.sinks.kafka.records import Records
from hubqueue.forward.sinks.mqtt.destination import MqttDestination
from hubqueue.forward.sinks.mqtt.sink import MqttSink
from hubqueue.forward.sinks.postgres.rows import Rows
from hubqueue.forward.sinks.postgres.table import Column
from hubqueue.forward.verdict import Rejected
from hubqueue.model.job import Dedup, Options
from hubqueue.model.payload import encode
from hubqueue.mqtt import routing as mqtt
from hubqueue.mqtt.rules import Rule
from hubqueue.pipeline.delivery import Delivery
from hubqueue.pipeline.lookup import Lookup, LookupSettings
from hubqueue.pipeline.merge import Merge
from hubqueue.pipeline.plan import Pipeline, ToForward, ToQueue
from hubqueue.pipeline.record import Record, Refused
from hubqueue.pipeline.step import Memory
from hubqueue.sources import message as sources
from hubqueue.sources import routing as sourcing
from support.expressions import words_of_python
from support.pipelines import NOW_MS, Bench

PACKAGE = Path(__file__).parents[3] / "engine" / "hubqueue"
KINDS = {"Condition", "Text", "Topic", "Url", "Value"}
DOORS = {  # file: what it makes of expressions, and which door below drives it
    "config/destinations/influx.py": {"Text": "influx measurement", "Value": "influx tag, field and time"},
    "config/destinations/kafka.py": {"Text": "checked only", "Value": "checked only"},
    "config/destinations/mqtt.py": {"Topic": "mqtt sink topic"},
    "config/destinations/postgres.py": {"Value": "checked only"},
    "config/enrich.py": {"Text": "enrich key", "Url": "look-up url"},
    "config/flags.py": {"Text": "flag by"},
    "config/pipelines.py": {"Topic": "mqtt sink topic"},
    "config/rules.py": {"Condition": "checked only", "Text": "checked only"},
    "config/sources.py": {"Condition": "checked only", "Text": "checked only"},
    "config/steps.py": {"Condition": "filter", "Text": "output name", "Value": "map compute"},
    "forward/sinks/kafka/records.py": {"Text": "kafka topic and key", "Value": "kafka time"},
    "forward/sinks/postgres/rows.py": {"Value": "postgres column"},
    "forward/sinks/postgres/table.py": {"Value": "checked only"},
    "mqtt/routing.py": {"Condition": "mqtt where", "Text": "mqtt dedup key"},
    "sources/routing.py": {"Condition": "source where", "Text": "source queue, name and dedup key"},
}


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


class No(Exception):
    """The door refuses, and says why."""


def parcel(data: Any) -> Parcel:
    return Parcel("fwd:e:q:1", "n", encode(data), NOW_MS)


def record(data: Any) -> Record:
    return Record(data, "default", NOW_MS, "r1")


def unfit(run: Callable[[], Any]) -> Any:
    try:
        return run()
    except (Unfit, Refused) as error:
        raise No(str(error)) from error


# -- doors of text: what each writes for {{ data.t }}


def enrich_key(folder: Path) -> Callable[[Any], str]:
    rows = "".join(f"{name}: {{is: '{name}'}}\n" for name in ("5", "true", "abc", "2.5"))
    (folder / "t.yaml").write_text(rows.replace("5:", "'5':").replace("'2.'5'", "'2.5'").replace("true:", "'true':"))
    bench = Bench(folder, '- enrich: {table: t.yaml, key: "{{ data.t }}", into: row}')

    def run(data: Any) -> str:
        try:
            return str(bench.one(data)["row"]["is"])
        except Refused as refused:
            key = str(refused).removeprefix("enrich: ").removesuffix(" is not in the table")
            if key != str(refused).removeprefix("enrich: "):
                return str(ast.literal_eval(key))
            raise No(str(refused)) from refused

    return run


def lookup_url(folder: Path) -> Callable[[Any], str]:
    url = Url("http://h/{{ data.t }}", ("data",))
    lookup = Lookup(LookupSettings(url=url, down="refuse"), Merge())

    def run(data: Any) -> str:
        with suppress(LinkDown):  # nothing was asked for, so a URL that can be made gets no answer
            unfit(lambda: lookup.run(record(data), Memory()))
        return unquote(url.render({"data": data}).removeprefix("http://h/"))

    return run


def flag_by(folder: Path) -> Callable[[Any], str]:
    bench = Bench(folder, '- flag: {by: "{{ data.t }}", rate: {v: {max: 1, per: 1s}}}')

    def run(data: Any) -> str:
        state = next(iter(bench.states.values()))
        before = set(state.keys())
        unfit(lambda: bench.run({**data, "v": 1}))
        (key,) = (set(state.keys()) - before - {"n"}) or {"k:" + text_of(data["t"])}
        state.delete(key)
        return str(key.removeprefix("k:"))

    return run


def output_name(folder: Path) -> Callable[[Any], str]:
    def run(data: Any) -> str:
        delivery = Delivery((ToQueue("q", Text("{{ data.t }}", NAMES)),))
        unfit(lambda: delivery.add([record(data)], NOW_MS))
        return delivery.jobs[0].job.name

    return run


def fleet_name(folder: Path) -> Callable[[Any], str]:
    to = ToForward("", MqttDestination(Broker.from_url("mqtt://127.0.0.1"), Topic("a")), Text("{{ data.t }}", NAMES))
    writer = Writer(Pipeline("p", None, (), (to,), folder))

    def run(data: Any) -> str:
        found = writer._parcel(record(data), to.name)
        if isinstance(found, str):
            raise No(found)
        return found.name

    return run


def mqtt_topic(folder: Path) -> Callable[[Any], str]:
    sink = MqttSink(MqttDestination(Broker.from_url("mqtt://127.0.0.1"), Topic("{{ data.t }}", NAMES)))
    publisher: Any = SimpleNamespace(max_bytes=None)
    return lambda data: unfit(lambda: sink._message(publisher, parcel(data), "q")).topic


def kafka_topic(folder: Path) -> Callable[[Any], str]:
    records = Records(Form(topic="{{ data.t }}"))
    return lambda data: unfit(lambda: records.of("q", parcel(data))).topic


def kafka_key(folder: Path) -> Callable[[Any], str]:
    records = Records(Form(topic="t", key="{{ data.t }}"))
    return lambda data: (unfit(lambda: records.of("q", parcel(data))).key or b"").decode()


def influx_measurement(folder: Path) -> Callable[[Any], str]:
    shape = Shape(Text("{{ data.t }}", NAMES), fields={"v": Value("1", NAMES)})

    def run(data: Any) -> str:
        line = unfit(lambda: shape.line(parcel(data), "q")).decode()
        return line.rpartition(" v=")[0].replace("\\ ", " ").replace("\\,", ",").replace("\\n", "\n")

    return run


def rule_dedup(folder: Path) -> Callable[[Any], str]:
    options = Options(dedup=Dedup(key="{{ payload.t }}", ttl_ms=1000))
    routing = mqtt.Routing([Rule(topic="t", queue="q", options=options)])

    def run(data: Any) -> str:
        (found,) = routing.route(Message("t", json.dumps(data).encode()), NOW_MS)
        if isinstance(found, mqtt.Refused):
            raise No(found.error)
        assert isinstance(found, mqtt.Taken)
        assert found.job.options is not None
        assert found.job.options.dedup is not None
        return found.job.options.dedup.key

    return run


def source_text(pick: Callable[[sourcing.Taken], str], **into: Any) -> Callable[[Path], Callable[[Any], str]]:
    routing = sourcing.Routing("s", sourcing.Into(**{"queue": "q", **into}))

    def run(data: Any) -> str:
        found = routing.route([sources.Message("t", json.dumps(data).encode())], NOW_MS)
        if found.dead:
            raise No(found.dead[0][2])
        return pick(found.taken[0])

    return lambda _: run


def key_of(taken: sourcing.Taken) -> str:
    assert taken.job.options is not None
    assert taken.job.options.dedup is not None
    return taken.job.options.dedup.key


TEXTS: dict[str, Callable[[Path], Callable[[Any], str]]] = {
    "enrich key": enrich_key,
    "look-up url": lookup_url,
    "flag by": flag_by,
    "output name": output_name,
    "fleet name": fleet_name,
    "mqtt sink topic": mqtt_topic,
    "kafka topic": kafka_topic,
    "kafka key": kafka_key,
    "influx measurement": influx_measurement,
    "mqtt dedup key": rule_dedup,
    "source queue": source_text(lambda taken: taken.queue, queue="{{ payload.t }}"),
    "source name": source_text(lambda taken: taken.job.name, name="{{ payload.t }}"),
    "source dedup key": source_text(key_of, options=Options(dedup=Dedup(key="{{ payload.t }}", ttl_ms=1000))),
}

plain = st.sampled_from(["abc", "2.5", "x-y", "hall", 5.0, 2.5]) | st.integers(0, 10**6) | st.booleans()
inner = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(["a", ""]),
    lambda below: st.lists(below, max_size=2) | st.dictionaries(st.sampled_from("ab"), below, max_size=2),
    max_leaves=4,
)
maps = st.fixed_dictionaries({}, optional={"t": st.none() | plain | inner | st.text(max_size=5), "u": inner})


def text_of(value: Any) -> str:
    """What is right: the words of JSON, whole numbers without a point."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return str(int(value)) if value == math.floor(value) else repr(value)
    if isinstance(value, list | dict):
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return str(value)


@pytest.mark.parametrize("name", TEXTS)
def test_text_is_never_made_of_what_is_missing(name: str, tmp_path: Path) -> None:
    door = TEXTS[name](tmp_path)
    field = "payload.t" if name.startswith("source") or name == "mqtt dedup key" else "data.t"

    @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
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


# -- doors of conditions: which of `data.t > 5 or data.u > 5` and the like let through


def filter_step(folder: Path, text: str) -> Callable[[Any], bool]:
    bench = Bench(folder, f'- filter: "{text}"')
    return lambda data: bool(unfit(lambda: bench.run(data)))


def rule_where(folder: Path, text: str) -> Callable[[Any], bool]:
    routing = mqtt.Routing([Rule(topic="t", queue="q", where=text.replace("data.", "payload."))])

    def run(data: Any) -> bool:
        (found,) = routing.route(Message("t", json.dumps(data).encode()), NOW_MS)
        if isinstance(found, mqtt.Refused):
            raise No(found.error)
        return isinstance(found, mqtt.Taken)

    return run


def source_where(folder: Path, text: str) -> Callable[[Any], bool]:
    routing = sourcing.Routing("s", sourcing.Into(queue="q", where=text.replace("data.", "payload.")))

    def run(data: Any) -> bool:
        found = routing.route([sources.Message("t", json.dumps(data).encode())], NOW_MS)
        if found.dead:
            raise No(found.dead[0][2])
        return bool(found.taken)

    return run


CONDITIONS = {"filter": filter_step, "mqtt where": rule_where, "source where": source_where}
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

    @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
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


# -- doors of values: what each takes for data.t, None for nothing


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


def either(run: Callable[[], Any]) -> tuple[Any, str]:
    """What it gives, and why it does not."""
    try:
        return unfit(run), ""
    except No as no:
        return None, str(no)


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


@pytest.mark.parametrize("name", VALUES)
def test_null_is_taken_as_what_is_not_there(name: str, tmp_path: Path) -> None:
    door = VALUES[name](tmp_path)

    @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
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
        by = Bench(tmp_path, f"- window: {{every: 1s, by: [{field}]}}")
        assert by.refused(data) == f"window: {field}, which it is grouped by, is not there"
        time = Bench(tmp_path, f"- window: {{every: 1s, time: {field}}}")
        assert "not there" in time.refused(data)
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
