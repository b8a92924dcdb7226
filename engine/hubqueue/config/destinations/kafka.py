"""Kafka: kafka://broker:9092,broker:9092/topic, and kafkas:// with TLS."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from hubqueue.config import checks
from hubqueue.config.checks import Check
from hubqueue.config.destinations.extras import needs
from hubqueue.config.destinations.kind import Given, Kind, one_secret
from hubqueue.config.mistakes import Wrong
from hubqueue.config.timeformat import TIME_KEYS, with_times
from hubqueue.expression import Text, Value
from hubqueue.forward.content import NAMES, Unfit
from hubqueue.forward.sinks.kafka.destination import DEFAULT_PORT, Cluster, Form, KafkaDestination
from hubqueue.forward.sinks.kafka.records import check_topic

SECTION: Final = "kafka"
EXAMPLE: Final = "as in kafka://broker1.example:9092,broker2.example:9092/readings"

_URL: Final = re.compile(r"kafkas?://(?P<servers>[^/?#@]+)(?:/(?P<topic>[^/?#]*))?\Z", re.IGNORECASE)
_SERVER: Final = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<host>[^:\[\]\s]+))(?::(?P<port>\d{1,5}))?\Z")


def _keys(base: Path) -> Mapping[str, Check]:
    section: dict[str, Check] = {
        "topic": checks.from_engine(lambda value: Text(checks.text(value), NAMES).text),
        "key": checks.from_engine(lambda value: Text(checks.text(value), NAMES).text),
        "time": checks.from_engine(lambda value: Value(checks.text(value), NAMES).text),
        **TIME_KEYS,
        "value": checks.choice("json", "msgpack"),
        "compression": checks.choice("none", "gzip", "snappy", "lz4", "zstd"),
        "idempotent": checks.boolean,
        "max_record": checks.size_bytes(1024),
        "username": checks.text,
        "password": checks.text,
        "password_file": checks.secret_file(base),
        "mechanism": checks.choice("plain", "scram-sha-256", "scram-sha-512"),
    }
    return {SECTION: checks.Section(section, build=with_times)}


def _build(given: Given, clean: Mapping[str, Any]) -> KafkaDestination:
    needs("aiokafka", "kafka", to=given.to)
    section = dict(clean.get(SECTION, {}))
    servers, topic = _parts(given.to)
    if topic and "topic" in section:
        raise Wrong("is in 'to' as well", hint="name the topic in one of the two", path=[SECTION, "topic"])
    password = one_secret(section, "password", section=(SECTION,))
    user = section.get("username")
    if (user is None) is not (password is None):
        raise Wrong("needs both, username and password", path=[SECTION])
    if user is None and "mechanism" in section:
        raise Wrong("makes no sense without username and password", path=[SECTION, "mechanism"])
    access = {"mechanism": section["mechanism"]} if "mechanism" in section else {}
    form = {key: section[key] for key in ("key", "time", "times", "value") if key in section}
    return KafkaDestination(
        cluster=Cluster(servers=servers, user=user, password=password, tls=given.tls, **access),
        form=Form(topic=_topic(topic or section.get("topic", "")), **form),
        write_timeout_s=given.write_timeout_s,
        **{key: section[key] for key in ("compression", "idempotent", "max_record") if key in section},
    )


def _topic(topic: str) -> str:
    if not topic:
        raise Wrong("names no topic", hint=f"{EXAMPLE}, or topic: in the section 'kafka'", path=["to"])
    if "{" not in topic:
        try:
            check_topic(topic)
        except Unfit as error:
            raise Wrong("names no topic that Kafka takes", topic, path=["to"]) from error
    return topic


def _url(value: Any) -> str:
    to = checks.text(value)
    try:
        _parts(to)
    except ValueError as error:
        raise Wrong("is no address of a Kafka cluster", to, hint=EXAMPLE) from error
    return to


def _parts(to: str) -> tuple[tuple[tuple[str, int], ...], str]:
    """The servers and the topic, "" when it names none."""
    url = _URL.match(to)
    if url is None:
        raise ValueError(to)
    servers = []
    for text in url["servers"].split(","):
        server = _SERVER.match(text.strip())
        if server is None or not 0 < int(server["port"] or DEFAULT_PORT) < 65536:
            raise ValueError(text)
        servers.append((server["v6"] or server["host"], int(server["port"] or DEFAULT_PORT)))
    return tuple(servers), url["topic"] or ""


KAFKA: Final = Kind({"kafkas": True, "kafka": False}, _keys, _url, _build)
