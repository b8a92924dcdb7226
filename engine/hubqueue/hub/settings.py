"""Settings of one hub, decided at start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from hubqueue.model.bounds import DAY_MS, DEFAULT_BOUNDS, QueueBounds


@dataclass(frozen=True, slots=True, kw_only=True)
class HubSettings:
    """Units: *_s seconds, *_ms milliseconds, *_bytes bytes.

    durable: every verb that changes something answers after the disk has it.
    max_bytes caps pages in use plus log; on_full says what happens to new jobs then.
    timezone: of schedules that name none; None is UTC.
    webhook_hosts: hosts and networks that are not public and may be sent to all the same.
    forward_kept_ms, forward_kept: how long a forwarded id is known after its job has finished, and at most how many.
    """

    durable: bool = False
    sync_interval_s: float = 1.0
    linger_s: float = 0.02
    grace_s: float = 10.0
    max_bytes: int | None = None
    on_full: Literal["reject", "drop-oldest"] = "reject"
    forward_kept_ms: int = 7 * DAY_MS
    forward_kept: int = 10_000_000  # about 500 MB of the file
    bounds: QueueBounds = DEFAULT_BOUNDS
    queues: Mapping[str, QueueBounds] = field(default_factory=dict)
    adopt: bool = False
    timezone: str | None = None
    webhook_hosts: tuple[str, ...] = ()
