"""A pipeline as a value: where its records come from, what its steps are, and where the results go.

Made from a pipeline file by config/; runners build a chain of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from hubqueue.expression import Text
from hubqueue.forward.destination import Destination
from hubqueue.forward.settings import ForwardSettings
from hubqueue.model.hours import Hours
from hubqueue.pipeline.chain import Chain, Place
from hubqueue.pipeline.step import Step


@dataclass(frozen=True, slots=True)
class FromQueue:
    """The jobs of a queue of this hub."""

    queue: str


@dataclass(frozen=True, slots=True)
class ToQueue:
    """Jobs of a queue of this hub. name: of the job, None for the record's own."""

    queue: str
    name: Text | None = None


@dataclass(frozen=True, slots=True)
class ToChannel:
    """Whoever listens to this channel at that moment: told after the commit, and not kept."""

    channel: str


@dataclass(frozen=True, slots=True)
class ToForward:
    """A sink. On a hub: jobs of an internal queue, which a forwarder of the same name takes to the destination.

    settings, hours: how and when the forwarder works. name: of the job, None for the record's own.
    """

    queue: str
    destination: Destination
    name: Text | None = None
    settings: ForwardSettings = field(default_factory=ForwardSettings)
    hours: Hours | None = None


Source = FromQueue
Output = ToQueue | ToChannel | ToForward


@dataclass(frozen=True, slots=True)
class StepPlan:
    """A checked step: `make` gives a new one, with caches and connections of its own."""

    name: str
    make: Callable[[], Step]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A checked pipeline file. source None: it says none, and is run with a source from the command line.

    batch: how many records at once. process own: it runs beside the hub, in a process of its own.
    variables: the names of those that the file uses of the environment.
    """

    name: str
    source: Source | None
    steps: tuple[StepPlan, ...]
    to: tuple[Output, ...]
    file: Path
    batch: int = 200
    process: Literal["hub", "own"] = "hub"
    variables: frozenset[str] = frozenset()

    @property
    def owner(self) -> str:
        """Of its leases, the same in every life of the hub."""
        return f"pipeline:{self.name}"

    def chain(self) -> Chain:
        """Its steps, new ones."""
        return Chain([Place(step.name, step.make()) for step in self.steps])
