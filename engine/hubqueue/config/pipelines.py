"""Pipeline files: their keys, and the Pipeline that each becomes.

`hubqueue.yaml` names the files (`pipelines: [pipelines/*.yaml]`); `hubqueue pipeline` commands read one by itself.
Another way in or out is an entry of `sources` or `outputs`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import voluptuous as vol

from hubqueue.config import checks
from hubqueue.config.checks import Check
from hubqueue.config.mistakes import ConfigMistakes, Mistake, Wrong, flatten
from hubqueue.config.one import OneOf
from hubqueue.config.queues import queue_name
from hubqueue.config.steps import Steps, template
from hubqueue.config.yamlfile import read
from hubqueue.model.channel import check_channel
from hubqueue.pipeline.plan import FromQueue, Output, Pipeline, ToChannel, ToQueue

MAX_BATCH: Final = 1000


def read_pipeline(file: Path, environ: Mapping[str, str] | None = None) -> Pipeline:
    """The pipeline of a file. Errors: ConfigMistakes holds every mistake, with its line."""
    found = read(file, os.environ if environ is None else environ)
    mistakes = list(found.mistakes)
    try:
        made = pipeline(file)(found.values)
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
    return made


def pipeline(file: Path) -> Check:
    """The check of a whole pipeline file; relative paths in it start from its folder."""
    base = file.parent

    def build(clean: dict[str, Any]) -> Pipeline:
        return Pipeline(
            name=clean["name"],
            source=clean.get("from"),
            steps=clean.get("steps", ()),
            to=clean["to"],
            file=file,
            **{key: clean[key] for key in ("batch", "process") if key in clean},
        )

    return checks.Section(
        {
            "name": checks.from_engine(_check_pipeline_name),
            "from": OneOf("source", sources(base)),
            "steps": Steps(base),
            "to": Outputs(base),
            "batch": checks.integer(1, MAX_BATCH),
            "process": checks.choice("hub", "own"),
        },
        required=("name", "to"),
        build=build,
    )


def sources(base: Path) -> Mapping[str, Check]:
    """Where records may come from, by the key that says so."""
    return {"queue": lambda value: FromQueue(queue_name(value))}


def outputs(base: Path) -> Mapping[str, Check]:
    """Where results may go, by the key that says so."""
    return {
        "queue": _to_queue,
        "channel": lambda value: ToChannel(checks.from_engine(check_channel)(value)),
    }


class Outputs:
    """One output, or a list of them."""

    def __init__(self, base: Path) -> None:
        self._one = OneOf("output", outputs(base))

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


def _check_pipeline_name(name: Any) -> str:
    found: str = queue_name(checks.text(name))
    return found
