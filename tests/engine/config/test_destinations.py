"""Forwarders of every kind in hubqueue.yaml: what the keys become, and which mistakes are found where."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import voluptuous as vol

from hubqueue.client.address import Tls
from hubqueue.config.forwarders import forwarder
from hubqueue.config.mistakes import flatten
from hubqueue.config.path import dotted
from hubqueue.config.settings import Forward
from hubqueue.forward.sinks.http.destination import HttpDestination
from hubqueue.forward.sinks.influx.destination import InfluxDestination
from hubqueue.forward.sinks.kafka.destination import KafkaDestination
from hubqueue.forward.sinks.mqtt.destination import MqttDestination
from hubqueue.forward.sinks.postgres.destination import PostgresDestination

MQTT = {"to": "mqtt://h", "mqtt": {"topic": "a"}}
HTTP = {"to": "https://h"}
INFLUX = {"to": "influx+http://h", "influx": {"bucket": "b"}}
POSTGRES = {"to": "postgresql://u@h/d", "postgres": {"table": "t"}}
KAFKA = {"to": "kafka://h/topic"}


def made(base: Path, **keys: Any) -> Forward:
    found = forwarder(base)({"queue": "q", **keys})
    assert isinstance(found, Forward)
    return found


def test_an_mqtt_broker(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("x")
    (tmp_path / "secret").write_text("hush\n")
    keys = {"topic": "{{ data.a }}", "retain": True, "username": "u", "password_file": "secret", "max_packet": "2KB"}
    found = made(tmp_path, to="mqtts://h", ca_file="ca.pem", mqtt=keys, write_timeout="5s", batch=7)
    there = found.destination
    assert isinstance(there, MqttDestination)
    assert (there.url, there.target) == ("mqtts://h:8883", "{{ data.a }}")
    assert (there.encrypted, there.has_secret, there.tls) == (True, True, Tls(str(tmp_path / "ca.pem")))
    assert (there.retain, there.max_packet_bytes, there.write_timeout_s) == (True, 2000, 5.0)
    assert (there.broker.password, found.settings.batch, found.to) == ("hush", 7, "mqtts://h:8883")


def test_an_http_server(tmp_path: Path) -> None:
    found = made(tmp_path, to="http://u:p@h:8080/a?key=hush", http={"batch": True, "headers": {"X-A": "b"}})
    there = found.destination
    assert isinstance(there, HttpDestination)
    assert (there.url, there.target, found.to) == ("http://h:8080/a", None, "http://h:8080/a")
    assert there.endpoint.address == "http://h:8080/a?key=hush"
    assert (there.endpoint.username, there.endpoint.password) == ("u", "p")
    assert (there.encrypted, there.has_secret, there.tls, there.batch) == (False, True, None, True)
    assert "hush" not in repr(found)


def test_an_influxdb(tmp_path: Path) -> None:
    there = made(tmp_path, **INFLUX).destination
    assert isinstance(there, InfluxDestination)
    assert there.endpoint.address == "http://h/api/v2/write?bucket=b&precision=ms"
    assert (there.url, there.target, there.shape.measurement.text) == ("influx+http://h", "b", "{{ queue }}")


def test_a_postgresql(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("x")
    there = made(tmp_path, to="postgres://u%40x@[::1]:6543/d", ca_file="ca.pem", postgres={"table": "t"}).destination
    assert isinstance(there, PostgresDestination)
    server = there.server
    assert (server.host, server.port, server.user, server.database) == ("::1", 6543, "u@x", "d")
    assert (server.ssl_mode, there.encrypted, there.tls.has_ca, there.has_secret) == ("verify-full", True, True, False)
    assert [column.name for column in there.table.columns] == ["id", "time", "queue", "name", "data"]
    assert there.table.key == ("id", "time")


def test_the_columns_of_a_table(tmp_path: Path) -> None:
    section = {
        "password": "hush",
        "table": "last",
        "key": ["device"],
        "columns": {"device": "data.d", "v": {"from": "data.v", "type": "real", "required": True}, "time": "at_ms"},
    }
    found = made(tmp_path, to="postgresql://u@h/d", postgres=section)
    there = found.destination
    assert isinstance(there, PostgresDestination)
    assert [(each.name, each.source, each.type) for each in there.table.columns] == [
        ("device", "data.d", "text"),
        ("v", "data.v", "real"),
        ("time", "at_ms", "text"),
    ]
    assert (there.server.ssl_mode, there.encrypted, there.has_secret) == ("prefer", False, True)
    assert "hush" not in repr(found)


def test_a_kafka_cluster(tmp_path: Path) -> None:
    keys = {"topic": "a-{{ data.a }}", "username": "u", "password": "hush", "mechanism": "plain", "max_record": "2KB"}
    found = made(tmp_path, to="kafkas://a,b:9999,[::1]:1", kafka=keys)
    there = found.destination
    assert isinstance(there, KafkaDestination)
    assert there.cluster.servers == (("a", 9092), ("b", 9999), ("::1", 1))
    assert (there.url, there.target) == ("kafkas://a:9092,b:9999,[::1]:1", "a-{{ data.a }}")
    assert (there.encrypted, there.has_secret, there.idempotent, there.max_record) == (True, True, True, 2000)
    assert "hush" not in repr(found)


@pytest.mark.parametrize("to", ["postgresql://u@h/d", "kafka://h/t"])
def test_a_missing_extra_is_found_with_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, to: str
) -> None:
    monkeypatch.setattr("hubqueue.config.destinations.extras.find_spec", lambda name: None)
    with pytest.raises(vol.Invalid) as failure:
        made(tmp_path, to=to)
    assert "pip install 'hubqueue[" in " ".join(text for *_, text in flatten(failure.value))


@pytest.mark.parametrize(
    ("keys", "path"),
    [
        ({"to": "ftp://h"}, "to"),
        ({"to": 7}, "to"),
        ({"to": "mqtt://h"}, "mqtt"),
        ({**MQTT, "mqtt": {}}, "mqtt.topic"),
        ({**MQTT, "mqtt": {"topic": "{{ dat.a }}"}}, "mqtt.topic"),
        ({**MQTT, "mqtt": {"topic": "{{ data.a"}}, "mqtt.topic"),
        ({**MQTT, "mqtt": {"topic": "a/{{ data.a }}/#"}}, "mqtt.topic"),
        ({**MQTT, "mqtt": {"topic": "a/+/b"}}, "mqtt.topic"),
        ({**MQTT, "mqtt": {"topic": "a\x07/{{ data.a }}"}}, "mqtt.topic"),
        ({**MQTT, "mqtt": {"topic": "a", "password": "x"}}, "mqtt.password"),
        (
            {**MQTT, "mqtt": {"topic": "a", "username": "u", "password": "x", "password_file": "here"}},
            "mqtt.password_file",
        ),
        ({**MQTT, "mqtt": {"topic": "a", "payload": "json"}}, "mqtt.payload"),
        ({**MQTT, "mqtt": {"topic": "a", "max_packet": 5}}, "mqtt.max_packet"),
        ({**MQTT, "mqtt": {"topic": "a", "qos": 2}}, "mqtt.qos"),
        ({**MQTT, "to": "mqtt://h/topic"}, ""),
        ({**MQTT, "ca_file": "here"}, "ca_file"),
        ({**MQTT, "token": "x"}, "token"),
        ({**MQTT, "target": "x"}, "target"),
        ({**MQTT, "http": {}}, "http"),
        ({"to": "tcp://h", "mqtt": {"topic": "a"}}, "mqtt"),
        ({**HTTP, "key_file": "here"}, "key_file"),
        ({**HTTP, "http": {"token": "x", "username": "u"}}, "http.token"),
        ({**HTTP, "http": {"token": "x", "token_file": "here"}}, "http.token_file"),
        ({**HTTP, "http": {"token": "a\nb"}}, "http.token"),
        ({**HTTP, "http": {"password": "x"}}, "http.password"),
        ({**HTTP, "http": {"headers": {"a b": "c"}}}, "http.headers.a b"),
        ({**HTTP, "http": {"headers": {"Content-Type": "c"}}}, "http.headers.Content-Type"),
        ({**HTTP, "http": {"headers": {"A": "b\r\nC: d"}}}, "http.headers.A"),
        ({**HTTP, "http": {"token": "x", "headers": {"authorization": "y"}}}, "http.headers.Authorization"),
        ({**HTTP, "http": {"method": "GET"}}, "http.method"),
        ({"to": "http://"}, "to"),
        ({"to": "http://h:x"}, "to"),
        ({"to": "influx+http://h"}, "influx"),
        ({**INFLUX, "influx": {"bucket": "b", "database": "d"}}, "influx"),
        ({**INFLUX, "influx": {"bucket": "b", "retention_policy": "r"}}, "influx.retention_policy"),
        ({**INFLUX, "influx": {"database": "b", "org": "r"}}, "influx.org"),
        ({**INFLUX, "influx": {"bucket": "b", "tags": ["time"]}}, "influx.tags.time"),
        ({**INFLUX, "influx": {"bucket": "b", "tags": [7]}}, "influx.tags[0]"),
        ({**INFLUX, "influx": {"bucket": "b", "fields": {"a": "1 +"}}}, "influx.fields.a"),
        ({**INFLUX, "influx": {"bucket": "b", "time": "nothing.at"}}, "influx.time"),
        ({**INFLUX, "influx": {"bucket": "b", "precision": "m"}}, "influx.precision"),
        ({**INFLUX, "to": "influx+http://h/?db=x"}, "to"),
        ({"to": "postgresql://u@h/d"}, "postgres"),
        ({**POSTGRES, "postgres": {}}, "postgres.table"),
        ({**POSTGRES, "to": "postgresql://u:secret@h/d"}, "to"),
        ({**POSTGRES, "to": "postgresql://h/d"}, "to"),
        ({**POSTGRES, "to": "postgresql://u@h"}, "to"),
        ({**POSTGRES, "to": "postgresql://u@h/d?sslmode=x"}, "to"),
        ({**POSTGRES, "postgres": {"table": "x" * 64}}, "postgres.table"),
        ({**POSTGRES, "postgres": {"table": "t", "columns": {"a": "nothing.at"}}}, "postgres.columns.a"),
        ({**POSTGRES, "postgres": {"table": "t", "columns": {"a": {"type": "real"}}}}, "postgres.columns.a.from"),
        (
            {**POSTGRES, "postgres": {"table": "t", "columns": {"a": {"from": "data", "type": "int; DROP"}}}},
            "postgres.columns.a.type",
        ),
        ({**POSTGRES, "postgres": {"table": "t", "key": ["serial"]}}, ""),
        ({**POSTGRES, "postgres": {"table": "t", "by": ["serial"]}}, ""),
        ({**POSTGRES, "postgres": {"table": "t", "sslmode": "on"}}, "postgres.sslmode"),
        ({**POSTGRES, "ca_file": "here", "postgres": {"table": "t", "sslmode": "prefer"}}, "postgres.sslmode"),
        (
            {**POSTGRES, "postgres": {"table": "t", "aggregates": {"a": {"every": "1m"}}}},
            "postgres.aggregates.a.values",
        ),
        (
            {
                **POSTGRES,
                "postgres": {"table": "t", "aggregates": {"a": {"every": "1m", "values": {"name": ["mode"]}}}},
            },
            "postgres.aggregates.a.values.name[0]",
        ),
        ({"to": "kafka://h"}, "to"),
        ({"to": "kafka:///t"}, "to"),
        ({"to": "kafka://h:0/t"}, "to"),
        ({"to": "kafka://u:p@h/t"}, "to"),
        ({"to": "kafka://h/a b"}, "to"),
        ({**KAFKA, "kafka": {"topic": "t"}}, "kafka.topic"),
        ({**KAFKA, "kafka": {"key": "{{ nothing }}"}}, "kafka.key"),
        ({**KAFKA, "kafka": {"username": "u"}}, "kafka"),
        ({**KAFKA, "kafka": {"mechanism": "plain"}}, "kafka.mechanism"),
        ({**KAFKA, "kafka": {"compression": "zip"}}, "kafka.compression"),
        ({**KAFKA, "ca_file": "here"}, "ca_file"),
    ],
)
def test_a_mistake_is_found_where_it_is(tmp_path: Path, keys: dict[str, Any], path: str) -> None:
    (tmp_path / "here").write_text("x")
    with pytest.raises(vol.Invalid) as failure:
        made(tmp_path, **keys)
    assert path in [dotted(found) for found, *_ in flatten(failure.value)]


def test_mistakes_say_what_to_do(tmp_path: Path) -> None:
    for keys, hint in (
        ({**MQTT, "token": "x"}, "tls:// and tcp://"),
        ({**MQTT, "ca_file": "here"}, "mqtts://"),
        ({"to": "mqtt://h"}, "topic"),
        ({"to": "mqqt://h", "mqtt": {"topic": "a"}}, "tls://host.example"),
    ):
        (tmp_path / "here").write_text("x")
        with pytest.raises(vol.Invalid) as failure:
            made(tmp_path, **keys)
        assert hint in " ".join(text for *_, text in flatten(failure.value))


def test_a_hub_that_uses_no_driver_loads_none() -> None:
    program = "import sys, hubqueue.app, hubqueue.config.load; print({'asyncpg', 'aiokafka'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
