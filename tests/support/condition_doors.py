"""Doors that ask a condition: whether each lets the data through."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hubqueue.ingest.into import Into
from hubqueue.ingest.outcome import Refused, Taken
from hubqueue.mqtt.routing import Routing
from hubqueue.mqtt.rules import Rule
from hubqueue.mqttclient.message import Message
from hubqueue.sources import message as sources
from hubqueue.sources.routing import SourceRouting
from support.expressions import No, unfit
from support.pipelines import NOW_MS, Bench


def filter_step(folder: Path, text: str) -> Callable[[Any], bool]:
    bench = Bench(folder, f'- filter: "{text}"')
    return lambda data: bool(unfit(lambda: bench.run(data)))


def rule_where(folder: Path, text: str) -> Callable[[Any], bool]:
    routing = Routing([Rule(topic="t", queue="q", where=text.replace("data.", "payload."))])

    def run(data: Any) -> bool:
        (found,) = routing.route(Message("t", json.dumps(data).encode()), NOW_MS)
        if isinstance(found, Refused):
            raise No(found.error)
        return isinstance(found, Taken)

    return run


def source_where(folder: Path, text: str) -> Callable[[Any], bool]:
    routing = SourceRouting("s", Into(queue="q", where=text.replace("data.", "payload.")))

    def run(data: Any) -> bool:
        found = routing.route([sources.Message("t", json.dumps(data).encode())], NOW_MS)
        if found.dead:
            raise No(found.dead[0][2])
        return bool(found.taken)

    return run


CONDITIONS = {"filter": filter_step, "mqtt where": rule_where, "source where": source_where}
