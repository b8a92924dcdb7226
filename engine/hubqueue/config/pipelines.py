"""Pipeline files: their keys, and the Pipeline that each becomes.

`hubqueue.yaml` names the files (`pipelines: [pipelines/*.yaml]`); `hubqueue pipeline` commands read one by itself.
Another way out is an entry of Outputs.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import voluptuous as vol

from hubqueue.config import checks
from hubqueue.config.checks import Check
from hubqueue.config.forwarders import onward
from hubqueue.config.mistakes import ConfigMistakes, Mistake, Wrong, flatten
from hubqueue.config.one import OneOf
from hubqueue.config.queues import queue_name
from hubqueue.config.settings import Onward
from hubqueue.config.steps import Steps, template
from hubqueue.config.yamlfile import read
from hubqueue.expression import Topic
from hubqueue.forward.content import NAMES as TOPIC_NAMES
from hubqueue.forward.destination import HubDestination
from hubqueue.forward.sinks.mqtt.destination import MqttDestination
from hubqueue.model.channel import check_channel
from hubqueue.mqttclient.broker import Broker
from hubqueue.pipeline.plan import FromQueue, Output, Pipeline, ToChannel, ToForward, ToQueue

MAX_BATCH: Final = 1000


def read_pipeline(file: Path, environ: Mapping[str, str] | None = None, broker: Broker | None = None) -> Pipeline:
    """The pipeline of a file; broker: the hub's. Errors: ConfigMistakes holds every mistake, with its line."""
    found = read(file, os.environ if environ is None else environ)
    mistakes = list(found.mistakes)
    try:
        made = pipeline(file, broker)(found.values)
    except vol.Invalid as error:
        known = {mistake.path for mistake in mistakes}
        mistakes += [
            Mistake(path, message, value, hint, found.name, found.line(path))
            for path, message, value, hint in flatten(error)
            if path not in known
        ]
    if mistakes:
        raise ConfigMistakes(sorted(mistakes, key=lambda mistake: mistake.line or 0))
    assert isinstance(made, Pipeline)
    return replace(made, variables=frozenset(found.variables))


def pipeline(file: Path, broker: Broker | None) -> Check:
    """The check of a whole pipeline file; relative paths in it start from its folder."""
    base = file.parent

    def build(clean: dict[str, Any]) -> Pipeline:
        source = clean.get("from")
        for to in clean["to"]:
            if isinstance(to, ToQueue) and isinstance(source, FromQueue) and to.queue == source.queue:
                hint = "its results would be its input again"
                raise Wrong("is the queue it reads", to.queue, hint=hint, path=["to"])
        return Pipeline(
            name=clean["name"],
            source=source,
            steps=clean.get("steps", ()),
            to=_numbered(clean["name"], clean["to"]),
            file=file,
            **{key: clean[key] for key in ("batch", "process") if key in clean},
        )

    return checks.Section(
        {
            "name": checks.from_engine(_check_pipeline_name),
            "from": OneOf("source", {"queue": lambda value: FromQueue(queue_name(value))}, "{queue: readings}"),
            "steps": Steps(base),
            "to": Outputs(base, broker),
            "batch": checks.integer(1, MAX_BATCH),
            "process": checks.choice("hub", "own"),
        },
        required=("name", "to"),
        build=build,
    )


class Outputs:
    """One output, or a list of them."""

    def __init__(self, base: Path, broker: Broker | None) -> None:
        self._one = OneOf(
            "output",
            {
                "queue": _to_queue,
                "channel": lambda value: ToChannel(checks.from_engine(check_channel)(value)),
                "mqtt": _to_mqtt(broker),
                "forward": _to_forward(base),
            },
            "{queue: minutes}",
        )

    def __call__(self, value: Any) -> tuple[Output, ...]:
        if not isinstance(value, list):
            return (self._one(value),)
        made: tuple[Output, ...] = checks.Each(self._one)(value)
        if not made:
            raise Wrong("must not be empty", hint="as in {queue: minutes}")
        return made


def _to_queue(value: Any) -> ToQueue:
    """The name of a queue, or {queue: ..., name: ...}."""
    if isinstance(value, Mapping):
        keys = {"queue": queue_name, "name": template}
        made: ToQueue = checks.Section(keys, required=("queue",), build=lambda clean: ToQueue(**clean))(value)
        return made
    return ToQueue(queue_name(value))


def _to_mqtt(broker: Broker | None) -> Check:
    """A topic of the hub's broker, in the words of a forwarder's section mqtt."""

    def build(clean: dict[str, Any]) -> ToForward:
        if broker is None:
            hint = "give hubqueue.yaml a section mqtt, or write forward: {to: 'mqtt://...', mqtt: {topic: ...}}"
            raise Wrong("needs the hub's broker, and there is none", hint=hint)
        return ToForward("", MqttDestination(broker, **clean))

    keys = {
        "topic": checks.from_engine_text(lambda text: Topic(text, TOPIC_NAMES)),
        "retain": checks.boolean,
        "payload": checks.choice("data", "envelope"),
    }
    return checks.Section(keys, required=("topic",), build=build)


def _to_forward(base: Path) -> Check:
    """A forwarder without name and queue."""
    way = onward(base)

    def check(value: Any) -> ToForward:
        made: Onward = way(value)
        if isinstance(made.destination, HubDestination) and made.destination.target is None:
            raise Wrong("is missing", hint="the queue over there, as in target: readings", path=["target"])
        return ToForward("", made.destination, settings=made.settings, hours=made.hours)

    return check


def _numbered(name: str, outputs: tuple[Output, ...]) -> tuple[Output, ...]:
    """Each sink with an internal queue of its own."""
    sinks = [each for each in outputs if isinstance(each, ToForward)]
    queues = {id(each): f"_{name}.out{f'-{n}' if n > 1 else ''}" for n, each in enumerate(sinks, 1)}
    return tuple(replace(each, queue=queues[id(each)]) if isinstance(each, ToForward) else each for each in outputs)


def _check_pipeline_name(name: Any) -> str:
    found: str = queue_name(checks.text(name))
    return found
