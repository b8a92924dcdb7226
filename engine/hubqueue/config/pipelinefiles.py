"""The pipelines of a hub, and what only all of them together show. Imported only where there are some."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from hubqueue.config.mistakes import ConfigMistakes, Mistake
from hubqueue.config.pipelines import read_pipeline
from hubqueue.config.settings import Forward
from hubqueue.mqttclient.broker import Broker
from hubqueue.pipeline.plan import FromQueue, Pipeline, ToForward


def read_pipelines(
    files: Iterable[Path], environ: Mapping[str, str], broker: Broker | None, forwarders: Sequence[Forward]
) -> tuple[Pipeline, ...]:
    """Errors: ConfigMistakes holds every mistake of all files."""
    made: list[Pipeline] = []
    mistakes: list[Mistake] = []
    for file in files:
        try:
            found = read_pipeline(file, environ, broker)
            mistakes += _against(found, made, forwarders)
            made.append(found)
        except ConfigMistakes as error:
            mistakes += error.mistakes
    if mistakes:
        raise ConfigMistakes(mistakes)
    return tuple(made)


def forwards(pipelines: Iterable[Pipeline]) -> tuple[Forward, ...]:
    """The forwarders that take what these pipelines give to their sinks."""
    return tuple(
        Forward(to.destination, to.settings, to.hours, to.destination.url, queue=to.queue)
        for each in pipelines
        for to in each.to
        if isinstance(to, ToForward)
    )


def _against(new: Pipeline, others: Sequence[Pipeline], forwarders: Sequence[Forward]) -> Iterable[Mistake]:
    """What is wrong with a pipeline beside the others, and beside the forwarders."""

    def wrong(path: tuple[str, ...], message: str, hint: str = "") -> Mistake:
        return Mistake(path, message, hint=hint, source=new.file.name)

    if not isinstance(new.source, FromQueue):
        yield wrong(("from",), "is missing", "a pipeline of a hub reads a queue: from: {queue: readings}")
        return
    queue = new.source.queue
    for other in others:
        if other.name == new.name:
            yield wrong(("name",), f"is the name of {other.file.name} already", "its windows are kept under its name")
        if other.source == new.source:
            hint = "each job goes to one of them only; let one write to two queues, and read those"
            yield wrong(("from", "queue"), f"is read by pipeline {other.name} already", hint)
    if any(each.queue == queue for each in forwarders):
        yield wrong(("from", "queue"), "is forwarded already", "each job goes to one of them only")
