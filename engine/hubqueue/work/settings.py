"""What the handlers of one folder are run with, and what can be seen of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hubqueue.work.loading import Problem
from hubqueue.work.messages import ChannelInfo, TaskInfo


@dataclass(frozen=True)
class HandlerSettings:
    """Where the handlers are and how their process reaches the hub.

    Units: seconds; lease_ms milliseconds; max_memory_bytes of address space (None: no limit of its own).
    environment: what the process inherits, cleaned of the hub's own settings. nice: added niceness, so that a
    busy handler leaves the hub its share of the processor.
    """

    folder: Path
    url: str
    token: str | None = field(default=None, repr=False)
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    grace_s: float = 30.0  # for running handlers when the process is replaced or the hub stops
    stop_s: float = 5.0  # for one handler to end after its timeout or lost lease, before it counts as stuck
    load_timeout_s: float = 60.0
    silent_s: float = 20.0  # a blocked event loop is ended while its leases still hold (lease_ms)
    lease_ms: int = 30_000
    look_s: float = 1.0  # between two looks at the folder
    max_pause_s: float = 30.0  # between a death and the next start
    nice: int = 5
    max_memory_bytes: int | None = None


@dataclass(frozen=True)
class HandlerStatus:
    """What is served now. pid None: no process runs, because there is nothing to serve or it died just now."""

    pid: int | None
    tasks: Sequence[TaskInfo]
    problems: Sequence[Problem]
    restarts: int
    channels: Sequence[ChannelInfo] = ()
