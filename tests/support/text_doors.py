"""Doors that make text of an expression: what each writes for {{ data.t }}. No says that it refuses, and why."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import unquote

from hubqueue.errors import LinkDown
from hubqueue.expression import Text, Topic, Url, Value
from hubqueue.forward.content import NAMES
from hubqueue.forward.sinks.influx.lines import Shape
from hubqueue.forward.sinks.kafka.destination import Form
from hubqueue.forward.sinks.kafka.records import Records
from hubqueue.forward.sinks.mqtt.destination import MqttDestination
from hubqueue.forward.sinks.mqtt.sink import MqttSink
from hubqueue.forward.sinks.postgres.rows import Rows
from hubqueue.forward.sinks.postgres.table import Column
from hubqueue.forward.verdict import Rejected
from hubqueue.ingest.into import Into
from hubqueue.ingest.outcome import Refused as NoJob
from hubqueue.ingest.outcome import Taken
from hubqueue.kafkagroup.writer import Writer
from hubqueue.model.job import Dedup, Options
from hubqueue.mqtt.routing import Routing
from hubqueue.mqtt.rules import Rule
from hubqueue.mqttclient.broker import Broker
from hubqueue.mqttclient.message import Message
from hubqueue.pipeline.delivery import Delivery
from hubqueue.pipeline.lookup import Lookup, LookupSettings
from hubqueue.pipeline.merge import Merge
from hubqueue.pipeline.plan import Pipeline, ToForward, ToQueue
from hubqueue.pipeline.record import Refused
from hubqueue.pipeline.step import Memory
from hubqueue.sources import message as sources
from hubqueue.sources.routing import SourceRouting
from hubqueue.system import SYSTEM
from support.expressions import No, parcel, record, text_of, unfit
from support.pipelines import NOW_MS, Bench


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
    sink = MqttSink(MqttDestination(Broker.from_url("mqtt://127.0.0.1"), Topic("{{ data.t }}", NAMES)), SYSTEM)
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
        return line.rpartition(" v=")[0].replace("\\ ", " ").replace("\\,", ",")

    return run


def influx_tag_text(folder: Path) -> Callable[[Any], str]:
    shape = Shape(Text("m"), {"x": Value("data.t", NAMES)}, {"v": Value("1", NAMES)})

    def run(data: Any) -> str:
        line = unfit(lambda: shape.line(parcel(data), "q")).decode()
        if data.get("t") is None and line.startswith("m v="):
            raise No("data.t is null" if "t" in data else "there is no data.t")  # it has no tag, as it should
        tag = line.rpartition(" v=")[0].removeprefix("m").removeprefix(",x=")
        return tag.replace("\\ ", " ").replace("\\,", ",").replace("\\=", "=")

    return run


def postgres_text(folder: Path) -> Callable[[Any], str]:
    rows = Rows([Column("x", "data.t", required=True)], ["text"])

    def run(data: Any) -> str:
        row = rows.of("q", parcel(data))
        if isinstance(row, Rejected):
            raise No(row.reason)
        return str(row[0])

    return run


def rule_text(pick: Callable[[Taken], str], **into: Any) -> Callable[[Path], Callable[[Any], str]]:
    routing = Routing([Rule(**{"topic": "t", "queue": "q", **into})])

    def run(data: Any) -> str:
        (found,) = routing.route(Message("t", json.dumps(data).encode()), NOW_MS)
        if isinstance(found, NoJob):
            raise No(found.error)
        assert isinstance(found, Taken)
        return pick(found)

    return lambda _: run


def source_text(pick: Callable[[Taken], str], **into: Any) -> Callable[[Path], Callable[[Any], str]]:
    routing = SourceRouting("s", Into(**{"queue": "q", **into}))

    def run(data: Any) -> str:
        found = routing.route([sources.Message("t", json.dumps(data).encode())], NOW_MS)
        if found.dead:
            raise No(found.dead[0][2])
        return pick(found.taken[0])

    return lambda _: run


def read_back(name: str) -> str:
    """The text of which a queue's name was made."""
    return re.sub(":x([0-9a-f-]+):", lambda found: "".join(chr(int(part, 16)) for part in found[1].split("-")), name)


def queue_of(taken: Taken) -> str:
    return read_back(taken.queue)


def name_of(taken: Taken) -> str:
    return taken.job.name


def group_of(taken: Taken) -> str:
    assert taken.job.options is not None
    assert taken.job.options.group is not None
    return taken.job.options.group


def key_of(taken: Taken) -> str:
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
    "influx tag text": influx_tag_text,
    "postgres text column": postgres_text,
    "mqtt queue": rule_text(queue_of, queue="{{ payload.t }}"),
    "mqtt name": rule_text(name_of, name="{{ payload.t }}"),
    "mqtt dedup key": rule_text(key_of, options=Options(dedup=Dedup(key="{{ payload.t }}", ttl_ms=1000))),
    "mqtt group": rule_text(group_of, options=Options(group="{{ payload.t }}")),
    "source queue": source_text(queue_of, queue="{{ payload.t }}"),
    "source name": source_text(name_of, name="{{ payload.t }}"),
    "source dedup key": source_text(key_of, options=Options(dedup=Dedup(key="{{ payload.t }}", ttl_ms=1000))),
    "source group": source_text(group_of, options=Options(group="{{ payload.t }}")),
}
