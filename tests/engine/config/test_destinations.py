"""Forwarders of every kind in hubqueue.yaml: what the keys become, and which mistakes are found where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import voluptuous as vol

from hubqueue.config.forwarders import forwarder
from hubqueue.config.mistakes import flatten
from hubqueue.config.path import dotted
from hubqueue.config.settings import Forward
from hubqueue.forward.sinks.http.destination import HttpDestination
from hubqueue.forward.sinks.influx.destination import InfluxDestination
from hubqueue.forward.sinks.mqtt.destination import MqttDestination

MQTT = {"to": "mqtt://h", "mqtt": {"topic": "a"}}
HTTP = {"to": "https://h"}
INFLUX = {"to": "influx+http://h", "influx": {"bucket": "b"}}


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
    assert (there.encrypted, there.has_secret, there.has_ca) == (True, True, True)
    assert (there.retain, there.max_packet_bytes, there.write_timeout_s) == (True, 2000, 5.0)
    assert (there.broker.password, found.settings.batch, found.to) == ("hush", 7, "mqtts://h:8883")


def test_an_http_server(tmp_path: Path) -> None:
    found = made(tmp_path, to="http://u:p@h:8080/a?key=hush", http={"batch": True, "headers": {"X-A": "b"}})
    there = found.destination
    assert isinstance(there, HttpDestination)
    assert (there.url, there.target, found.to) == ("http://h:8080/a", None, "http://h:8080/a")
    assert there.endpoint.address == "http://h:8080/a?key=hush"
    assert (there.endpoint.username, there.endpoint.password) == ("u", "p")
    assert (there.encrypted, there.has_secret, there.has_ca, there.batch) == (False, True, False, True)
    assert "hush" not in repr(found)


def test_an_influxdb(tmp_path: Path) -> None:
    there = made(tmp_path, **INFLUX).destination
    assert isinstance(there, InfluxDestination)
    assert there.endpoint.address == "http://h/api/v2/write?bucket=b&precision=ms"
    assert (there.url, there.target, there.shape.measurement.text) == ("influx+http://h", "b", "{{ queue }}")


@pytest.mark.parametrize(
    ("keys", "path"),
    [
        ({"to": "ftp://h"}, "to"),
        ({"to": 7}, "to"),
        ({"to": "mqtt://h"}, "mqtt"),
        ({**MQTT, "mqtt": {}}, "mqtt.topic"),
        ({**MQTT, "mqtt": {"topic": "{{ dat.a }}"}}, "mqtt.topic"),
        ({**MQTT, "mqtt": {"topic": "{{ data.a"}}, "mqtt.topic"),
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
