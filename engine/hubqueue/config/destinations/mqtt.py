"""An MQTT broker: mqtt:// and mqtts://, with the section `mqtt`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from hubqueue.config import checks
from hubqueue.config.checks import Check
from hubqueue.config.destinations.kind import Given, Kind, one_secret
from hubqueue.config.mistakes import Wrong
from hubqueue.expression import Topic
from hubqueue.forward.content import NAMES
from hubqueue.forward.sinks.mqtt.destination import MqttDestination
from hubqueue.mqttclient.broker import Broker

SECTION: Final = "mqtt"


def _keys(base: Path) -> Mapping[str, Check]:
    keys: dict[str, Check] = {
        "topic": checks.from_engine(lambda value: Topic(checks.text(value), NAMES)),
        "retain": checks.boolean,
        "payload": checks.choice("data", "envelope"),
        "username": checks.text,
        "password": checks.text,
        "password_file": checks.secret_file(base),
        "client_id": checks.text,
        "protocol": checks.choice("auto", "5", "3.1.1"),
        "max_packet": checks.size_bytes(128),
    }
    return {SECTION: checks.Section(keys, required=("topic",))}


def _build(given: Given, clean: Mapping[str, Any]) -> MqttDestination:
    if SECTION not in clean:
        raise Wrong("is missing", hint="give it a topic: mqtt: {topic: 'site/{{ data.device }}'}", path=[SECTION])
    section = clean[SECTION]
    broker = Broker.from_url(given.to, tls=given.tls)
    username = section.get("username", broker.username)
    password = one_secret(section, "password", section=(SECTION,)) or broker.password
    if password is not None and username is None:
        raise Wrong("needs username beside it", path=[SECTION, "password"])
    broker = replace(broker, username=username, password=password, version=section.get("protocol", "auto"))
    return MqttDestination(
        broker,
        section["topic"],
        retain=section.get("retain", False),
        payload=section.get("payload", "data"),
        client_id=section.get("client_id"),
        max_packet_bytes=section.get("max_packet"),
        write_timeout_s=given.write_timeout_s,
    )


MQTT: Final = Kind({"mqtts": True, "mqtt": False}, _keys, checks.url("mqtts", "mqtt"), _build)
