"""One row of the table of job options (`options`): what an option is, and the doors it may come in by."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, Final

import msgspec

from hubqueue.model.job import PLAIN, NewJob, Options

_PLAIN_JOB: Final = NewJob()


class Door(Enum):
    """Where new jobs come in, or are described. TCP and WebSocket take every option: wire.jobin."""

    PYTHON = "python"  # Queue.add, hubqueue.job
    REST = "rest"  # POST of one job or many, and what follows from a settled one
    FLOW = "flow"  # a job of a tree, REST
    FEED = "feed"  # REST, in the query or as headers
    INVOKE = "invoke"  # REST and MQTT
    SCHEDULE = "schedule"  # the jobs of a schedule, at every door that has schedules
    RULE = "rule"  # MQTT
    SOURCE = "source"  # Kafka and AMQP
    CLI = "cli"  # hubqueue add
    FORM = "form"  # the dashboard's
    HOME_ASSISTANT = "home_assistant"  # the actions that enqueue
    NODE_RED = "node-red"  # msg.enqueue of the nodes; the commoner ones in their dialogs too


class Kind(Enum):
    """What an option holds, and with that what `low` and `high` bound."""

    WHOLE = "integer"
    SPAN = "duration"  # milliseconds
    TIME = "time"  # Unix milliseconds
    FACTOR = "number"
    FLAG = "boolean"
    TEXT = "text"  # how many characters
    TEXTS = "texts"  # how many texts, none longer than `chars`
    CHOICE = "choice"
    MAP = "map"  # of its parts


def camel(name: str) -> str:
    """A name of Python as JSON has it."""
    first, *more = name.split("_")
    return first + "".join(map(str.capitalize, more))


class Parent(msgspec.Struct, frozen=True, gc=False):
    """The job that is to wait for the new one.

    queue None: it does not wait, the new one only names it; read so of a job whose pusher has not said the queue.
    """

    queue: str | None
    id: str


class Option(msgspec.Struct, frozen=True, kw_only=True):
    """One row. name: in Python, YAML and Home Assistant, `json` in JSON, `wire` in the commands of TCP and WebSocket.

    field: of NewJob or Options, of a part in what `make` makes. choices: the words, and where they are flags on the
    wire the names of those. short: the part that a bare value stands for. needs: the option without which it says
    nothing. left_out: by which doors, and why.
    """

    name: str
    kind: Kind
    help: str
    field: str = ""
    wire: str = ""
    low: float = 0
    high: float = 0
    chars: int = 0
    choices: Mapping[str, str] = {}
    parts: tuple[Option, ...] = ()
    make: type[msgspec.Struct] | None = None
    short: str = ""
    needs: str = ""
    left_out: Mapping[Door, str] = {}

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "field", self.field or self.name)
        msgspec.structs.force_setattr(self, "wire", self.wire or self.json)

    @property
    def json(self) -> str:
        return camel(self.name)

    @property
    def default(self) -> Any:
        """What it is if nobody says it."""
        return getattr(PLAIN if self.is_rare else _PLAIN_JOB, self.field)

    @property
    def is_rare(self) -> bool:
        """Whether it lives in Options; else in the job itself."""
        return self.field in Options.__struct_fields__

    @property
    def short_part(self) -> Option:
        """The part that a bare value stands for."""
        return next(part for part in self.parts if part.name == self.short)

    def made(self, parts: Mapping[str, Any]) -> Any:
        """The value of a map from its parts."""
        assert self.make is not None
        fields = {part.name: part.field for part in self.parts}
        said = {name: value for name, value in parts.items() if value is not None or name in self.required}
        return self.make(**{fields[name]: value for name, value in said.items()})

    @property
    def required(self) -> frozenset[str]:
        """The parts that a map must have."""
        assert self.make is not None
        fields = {field.name for field in msgspec.structs.fields(self.make) if field.required}
        return frozenset(part.name for part in self.parts if part.field in fields)
