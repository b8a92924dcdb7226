"""What a group of members cannot do, found as early as can be."""

from __future__ import annotations

from hubqueue.errors import ConfigError, LinkDown
from hubqueue.kafkagroup.source import From
from hubqueue.kafkagroup.writer import Writer
from hubqueue.pipeline.plan import Pipeline
from hubqueue.pipeline.step import Timed
from hubqueue.pipeline.window import Window
from hubqueue.sources.partition import Partition


class Unfit(LinkDown):
    """Carries a ConfigError out of a callback of the consumer."""

    def __init__(self, error: ConfigError) -> None:
        super().__init__(error.message)
        self.error = error


def check(pipeline: Pipeline) -> None:
    """Errors: ConfigError for what the members of a group cannot do."""
    timed = [plan.name for plan in pipeline.steps if isinstance(plan.make(), Timed)]
    odd = [plan.name for plan in pipeline.steps if isinstance(step := plan.make(), Timed) and not _is_window(step)]
    if odd:
        raise ConfigError(
            f"pipeline {pipeline.name}: {odd[0]} cannot be run from Kafka", hint="sinks batch by themselves"
        )
    if len(timed) > 1:
        hint = "write the first to a topic, and run the second from there with a pipeline of its own"
        raise ConfigError(f"pipeline {pipeline.name}: a second window ({timed[1]}) cannot be run from Kafka", hint=hint)
    Writer(pipeline)


def _is_window(step: object) -> bool:
    return isinstance(step, Window)


def check_partitions(pipeline: Pipeline, partition: Partition, count: int, source: From) -> None:
    """Errors: ConfigError where a window would need records of several partitions. count: those of its topic."""
    whole = [step for plan in pipeline.steps if isinstance(step := plan.make(), Window) and not step.grouped]
    if whole and (count > 1 or len(source.topics) > 1):
        raise ConfigError(
            f"a window without 'by' needs all records in one partition, and {partition.topic} has more",
            hint="group it by what the records are keyed by, or use a topic with one partition",
        )
