"""What the hub's side (`parent`) and the handler process (`child`) tell each other, as lines of JSON.

Parent to child on standard input, child to parent on a pipe of its own: standard output and standard error
belong to the handlers. A line is one message; neither side keeps anything but the current line.
"""

from __future__ import annotations

import msgspec

from hubqueue.work.loading import Problem


class Setup(msgspec.Struct, frozen=True, tag=True):
    """First line: how to reach the hub, as whom to lease, and what to load. Nothing runs before Go.

    Units: stop_s seconds a handler gets to end after it was told to; max_memory_bytes of address space.
    skip: files that killed a process while they were loaded.
    """

    url: str
    owner: str
    folder: str
    token: str | None = None
    skip: tuple[str, ...] = ()
    lease_ms: int = 30_000
    stop_s: float = 5.0
    nice: int = 0
    max_memory_bytes: int | None = None


class Go(msgspec.Struct, frozen=True, tag=True):
    """Start to take jobs. suspects: jobs that run alone (see `turns`)."""

    suspects: tuple[str, ...] = ()


class Drain(msgspec.Struct, frozen=True, tag=True):
    """Take no more jobs, let those that run end within the grace, give the rest back, exit.

    Units: grace_s seconds.
    """

    grace_s: float


ToChild = Setup | Go | Drain


class Loading(msgspec.Struct, frozen=True, tag=True):
    """The code of this file runs next: if the process dies now, it was this one."""

    file: str


class TaskInfo(msgspec.Struct, frozen=True):
    """One task as it was loaded."""

    name: str
    queue: str
    file: str
    line: int
    concurrency: int


class ChannelInfo(msgspec.Struct, frozen=True):
    """One function that hears a channel, as it was loaded."""

    channel: str
    file: str


class Ready(msgspec.Struct, frozen=True, tag=True):
    """Everything that can be loaded is."""

    tasks: list[TaskInfo]
    problems: list[Problem]
    channels: list[ChannelInfo] = []


class Held(msgspec.Struct, frozen=True, tag=True):
    """These jobs are leased by this process: (id, token) pairs."""

    leases: list[tuple[str, str]]


class Settled(msgspec.Struct, frozen=True, tag=True):
    """This job is settled, or its lease is lost: it is no longer ours."""

    id: str


class Started(msgspec.Struct, frozen=True, tag=True):
    """The handler of this job runs next."""

    id: str


class Stopped(msgspec.Struct, frozen=True, tag=True):
    """The handler of this job has ended. That may be long after its job was settled."""

    id: str


class Stuck(msgspec.Struct, frozen=True, tag=True):
    """A handler did not end when it was told to: only the end of this process ends it."""

    id: str
    task: str


class Beat(msgspec.Struct, frozen=True, tag=True):
    """Handlers are running and the event loop turns."""


FromChild = Loading | Ready | Held | Settled | Started | Stopped | Stuck | Beat

_encoder = msgspec.json.Encoder()
to_child_decoder: msgspec.json.Decoder[ToChild] = msgspec.json.Decoder(ToChild)
from_child_decoder: msgspec.json.Decoder[FromChild] = msgspec.json.Decoder(FromChild)


def line(message: ToChild | FromChild) -> bytes:
    return _encoder.encode(message) + b"\n"
