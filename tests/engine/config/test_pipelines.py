"""Pipeline files: what they say, and what is wrong with them, alone and beside each other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hubqueue.config.load import load
from hubqueue.config.mistakes import ConfigMistakes
from hubqueue.config.path import dotted
from hubqueue.config.pipelines import read_pipeline
from hubqueue.config.settings import Config
from hubqueue.forward.sinks.mqtt.destination import MqttDestination
from hubqueue.mqttclient.broker import Broker
from hubqueue.pipeline.plan import FromQueue, Pipeline, ToChannel, ToForward, ToQueue

BROKER = Broker.from_url("mqtt://127.0.0.1:1883")


def read(folder: Path, text: str, broker: Broker | None = BROKER) -> Pipeline:
    file = folder / "p.yaml"
    file.write_text(text, encoding="utf-8")
    return read_pipeline(file, {"HOST": "h.example"}, broker)


def wrong(folder: Path, text: str, broker: Broker | None = BROKER) -> dict[str, str]:
    with pytest.raises(ConfigMistakes) as found:
        read(folder, text, broker)
    return {f"{each.line}:{dotted(each.path)}": f"{each.message} ({each.hint})" for each in found.value.mistakes}


def test_a_file_becomes_a_pipeline(tmp_path: Path) -> None:
    found = read(tmp_path, "name: p\nfrom: {queue: in}\nto: {queue: out}\nbatch: 500\nprocess: own\n")
    assert (found.name, found.source, found.steps) == ("p", FromQueue("in"), ())
    assert (found.to, found.batch, found.process) == ((ToQueue("out"),), 500, "own")
    assert read(tmp_path, "name: p\nto: {queue: out}").source is None


def test_each_sink_has_an_internal_queue_of_its_own(tmp_path: Path) -> None:
    found = read(
        tmp_path,
        """
name: p
from: {queue: in}
to:
  - queue: {queue: out, name: "{{ data.kind }}"}
  - channel: live
  - mqtt: {topic: "minutes/{{ data.device }}", retain: true}
  - forward: {to: "https://${HOST}/in", batch: 50, rate_per_s: 10}
""",
    )
    queue, channel, mqtt, forward = found.to
    assert isinstance(queue, ToQueue)
    assert queue.name is not None
    assert queue.name.text == "{{ data.kind }}"
    assert channel == ToChannel("live")
    assert isinstance(mqtt, ToForward)
    assert isinstance(mqtt.destination, MqttDestination)
    assert isinstance(forward, ToForward)
    assert (mqtt.queue, forward.queue) == ("_p.out", "_p.out-2")
    assert (forward.destination.url, forward.settings.batch) == ("https://h.example/in", 50)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {"None:name": "is missing", "None:to": "is missing"}),
        ("name: a b\nto: {queue: out}", {"1:name": "invalid characters"}),
        ("name: p\nto: {queue: a b}", {"2:to.queue": "invalid characters"}),
        ("name: p\nto: []", {"2:to": "must not be empty"}),
        ("name: p\nto: out", {"2:to": "must be one output"}),
        ("name: p\nto: out", {"2:to": "as in {queue: minutes}"}),
        ("name: p\nfrom: {queue: q}\nto: [{queue: r}, {queue: q}]", {"3:to": "is the queue it reads"}),
        (
            "name: p\nto: {queue: q}\nsteps:\n- convert: {t: {from: F, to: C}}",
            {"4:steps[0].convert.t": "temperatures are degC, degF and K"},
        ),
        ("name: p\nto: {que: out}", {"2:to.que": "did you mean 'queue'"}),
        ("name: p\nto: {queue: {queue: q, name: '{{ x }}'}}", {"2:to.queue.name": "there is no 'x'"}),
        ("name: p\nto: {channel: a/b}", {"2:to.channel": "invalid characters"}),
        ("name: p\nto: {mqtt: {topic: 'a/{{ data.b }}/#'}}", {"2:to.mqtt.topic": "holds a wildcard"}),
        ("name: p\nto:\n- queue: a\n- mqtt: {}", {"4:to[1].mqtt.topic": "is missing"}),
        ("name: p\nto: {forward: {to: 'tcp://h'}}", {"2:to.forward.target": "is missing"}),
        ("name: p\nto: {forward: {to: 'gopher://h'}}", {"2:to.forward.to": "must start with"}),
        ("name: p\nto: {queue: q}\nbatch: 0", {"3:batch": "from 1 to 1000"}),
        ("name: p\nto: {queue: q}\nprocess: far", {"3:process": "must be hub or own"}),
        ("name: p\nto: {queue: q}\nfrom: {kafka: x}", {"3:from.kafka": "is no kind of source"}),
        ("name: p\nto: {queue: '${NOPE}'}", {"2:to.queue": "is not set"}),
        ("name: p\nname: q\nto: {queue: q}", {"2:name": "is written twice"}),
        ("- name: p", {"None:": "must hold keys and values"}),
        ("name: [p", {"1:": "is not valid YAML"}),
    ],
)
def test_mistakes_have_their_line_and_path(tmp_path: Path, text: str, expected: dict[str, str]) -> None:
    found = wrong(tmp_path, text)
    assert found.keys() == expected.keys()
    for where, words in expected.items():
        assert words in found[where]


def test_the_hubs_broker_is_needed_for_mqtt(tmp_path: Path) -> None:
    found = wrong(tmp_path, "name: p\nto: {mqtt: {topic: t}}", None)
    assert "give hubqueue.yaml a section mqtt" in found["2:to.mqtt"]


@pytest.mark.parametrize(
    ("window", "path", "words"),
    [
        ("{}", "every", "is missing"),
        ("{every: 10}", "every", "must be a duration with a unit"),
        ("{every: 1s, lateness: 5m}", "lateness", "keeps more than 90 windows of a group open"),
        ("{every: 1s, time: t, ahead: 10m}", "ahead", "keeps more than 90 windows of a group open"),
        ("{every: 1m, by: [partial]}", "", "two fields called partial"),
        ("{every: 1m, late: queue}", "late", "needs the name of the queue"),
        ("{every: 1m, late: {queue: a b}}", "late.queue", "invalid characters"),
        ("{every: 1m, late: lose}", "late", "must be drop or dead-letter"),
        ("{every: 1m, values: {t: [mena]}}", "values.t[0]", "did you mean 'mean'"),
        ("{every: 1m, values: {t: [p100]}}", "values.t[0]", "is no aggregate"),
        ("{every: 1m, values: {t: [max, max]}}", "values.t", "each once"),
        ("{every: 1d, timezone: Mars/Base}", "timezone", "time zone"),
        ("{every: 1m, by: [count]}", "", "two fields called count"),
        ("{every: 1m, by: [t_max], values: {t: max}}", "", "two fields called t_max"),
    ],
)
def test_mistakes_in_a_window(tmp_path: Path, window: str, path: str, words: str) -> None:
    (found,) = wrong(tmp_path, f"name: p\nto: {{queue: q}}\nsteps:\n- window: {window}").items()
    assert found[0] == f"4:steps[0].window{'.' if path else ''}{path}"
    assert words in found[1]


def test_mistakes_in_a_batch(tmp_path: Path) -> None:
    found = wrong(tmp_path, "name: p\nto: {queue: q}\nsteps:\n- batch: {count: 0, within: 0}")
    assert list(found) == ["4:steps[0].batch.count", "4:steps[0].batch.within"]


def hub(folder: Path, files: dict[str, str], rest: str = "") -> Config:
    (folder / "pipelines").mkdir()
    for name, text in files.items():
        (folder / "pipelines" / name).write_text(text, encoding="utf-8")
    (folder / "hubqueue.yaml").write_text(f"pipelines: ['pipelines/*.yaml']\n{rest}", encoding="utf-8")
    return load(folder / "hubqueue.yaml", environ={})


def test_a_hub_reads_its_pipelines_and_forwards_for_them(tmp_path: Path) -> None:
    config = hub(
        tmp_path,
        {
            "b.yaml": "name: b\nfrom: {queue: y}\nto: {mqtt: {topic: t}}",
            "a.yaml": "name: a\nfrom: {queue: x}\nto: {queue: y}",
            "notes.txt": "not one of them",
        },
        "mqtt: {url: 'mqtt://broker.example'}\nforwarders:\n- {queue: z, to: 'tcp://h.example'}\n",
    )
    assert [each.name for each in config.pipelines] == ["a", "b"]
    assert [(each.queue, each.destination.url) for each in config.forwarders] == [
        ("z", "tcp://h.example:6789"),
        ("_b.out", "mqtt://broker.example:1883"),
    ]


@pytest.mark.parametrize(
    ("other", "rest", "path", "words"),
    [
        ("name: a\nfrom: {queue: y}\nto: {queue: z}", "", "name", "is the name of a.yaml already"),
        ("name: b\nfrom: {queue: x}\nto: {queue: z}", "", "from.queue", "is read by pipeline a already"),
        ("name: b\nto: {queue: z}", "", "from", "a pipeline of a hub reads a queue"),
        ("name: b\nfrom: {queue: y}\nto: {queue: y}", "", "to", "is the queue it reads"),
        (
            "name: b\nfrom: {queue: f}\nto: {queue: y}",
            "forwarders:\n- {queue: f, to: 'tcp://h'}\n",
            "from.queue",
            "is forwarded already",
        ),
    ],
)
def test_pipelines_do_not_get_in_each_others_way(tmp_path: Path, other: str, rest: str, path: str, words: str) -> None:
    with pytest.raises(ConfigMistakes) as found:
        hub(tmp_path, {"a.yaml": "name: a\nfrom: {queue: x}\nto: {queue: out}", "b.yaml": other}, rest)
    (mistake,) = found.value.mistakes
    assert (dotted(mistake.path), mistake.source) == (path, "b.yaml")
    assert words in f"{mistake.message} {mistake.hint}"


def test_all_mistakes_of_all_files_are_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigMistakes) as found:
        hub(tmp_path, {"a.yaml": "name: a", "b.yaml": "to: {queue: q}"}, "")
    told: Any = [(each.source, dotted(each.path)) for each in found.value.mistakes]
    assert told == [("a.yaml", "to"), ("b.yaml", "name")]


def test_a_file_that_is_named_must_be_there(tmp_path: Path) -> None:
    (tmp_path / "hubqueue.yaml").write_text("pipelines: [none.yaml, 'nothing/*.yaml']", encoding="utf-8")
    with pytest.raises(ConfigMistakes, match=r"pipelines\[0\]: names a file that does not exist"):
        load(tmp_path / "hubqueue.yaml", environ={})
