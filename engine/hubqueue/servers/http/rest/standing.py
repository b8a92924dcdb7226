"""What the hub says of itself and its parts, as answers show it: queues, workers, links, pipelines, rules, forwarders.

Fields stand for what the commands Overview, ListWorkers, Pipelines, Rules and Forwarders reply; a test compares them.
Units: milliseconds, times Unix milliseconds, where a name does not say another.
"""

from __future__ import annotations

from typing import Any

import msgspec


class Totals(msgspec.Struct, rename="camel", kw_only=True):
    """Jobs by state."""

    waiting: int
    prioritized: int
    delayed: int
    active: int
    waiting_children: int
    completed: int
    failed: int
    expired: int


class QueueStanding(Totals, rename="camel", kw_only=True):
    """A queue: its jobs by state, the age of the oldest that waits, what happens in a minute where that is known."""

    name: str
    paused: bool
    oldest_ms: float | None
    enqueued_per_minute: float | None
    completed_per_minute: float | None
    failed_per_minute: float | None


class Rates(msgspec.Struct, kw_only=True):
    """Jobs a second."""

    enqueued: float
    leased: float
    completed: float
    failed: float


class Storage(msgspec.Struct, rename="camel", kw_only=True):
    """The job file, its log, and what is free beside them."""

    used_bytes: float
    wal_bytes: float
    free_bytes: float
    disk_full: bool


class HubFacts(msgspec.Struct, rename="camel", kw_only=True):
    """Which hub, and since when it runs."""

    hub_id: str
    version: str
    uptime_ms: float
    started_at: float


class BrokerLink(msgspec.Struct, kw_only=True):
    """A connection to the MQTT broker."""

    lane: str
    up: bool
    since: float
    version: str | None
    error: str | None
    hint: str | None


class MqttStanding(msgspec.Struct, kw_only=True):
    """The links to the broker, and how many messages were dropped."""

    broker: str
    links: list[BrokerLink]
    dropped: int


class MqttCounts(msgspec.Struct, kw_only=True):
    """Messages since the start; enqueued, overflowed and answered are jobs. Empty until the bridge has started."""

    received: int = 0
    copies: int = 0
    redelivered: int = 0
    enqueued: int = 0
    passed: int = 0
    unroutable: int = 0
    overflowed: int = 0
    dropped: int = 0
    acknowledged: int = 0
    answered: int = 0


class BrokerStanding(msgspec.Struct, kw_only=True):
    """The MQTT broker: links to it, messages that wait for their acknowledgement, and what was done."""

    url: str
    links: list[BrokerLink]
    unacknowledged: int
    counts: MqttCounts


class RuleStanding(msgspec.Struct, rename="camel", kw_only=True):
    """A rule as the configuration has it, and what it has done."""

    index: int
    settings: dict[str, Any]
    matched: int
    passed: int
    failed: int
    last_at: float | None
    failed_at: float | None
    error: str | None


class WorkerStanding(msgspec.Struct, rename="camel", kw_only=True):
    """A worker that has made itself known."""

    id: str
    name: str
    queues: list[str]
    concurrency: int
    hostname: str
    pid: int
    status: str
    registered_at: float
    last_seen: float
    active_jobs: int
    processed_jobs: int
    failed_jobs: int
    current_job: str | None
    uptime: float


class WorkerSums(msgspec.Struct, rename="camel", kw_only=True):
    """Sums over the workers."""

    total: int
    active: int
    total_processed: int
    total_failed: int
    active_jobs: int
    concurrency_slots: int


class PipelineStanding(msgspec.Struct, rename="camel", kw_only=True):
    """A pipeline. Counters run since its start; trouble: why it waits."""

    name: str
    queue: str | None
    to: list[str]
    steps: list[str]
    process: str
    trouble: str | None
    shared: bool
    taken: int
    given: int
    refused: int
    failed: int
    late: int
    lost: int
    released: int
    batches: int
    restarts: int
    open: int
    lag_ms: float
    us_per_record: float


class HoursShown(msgspec.Struct, kw_only=True):
    """When a forwarder may run."""

    windows: list[str]
    timezone: str | None


class ForwarderStanding(msgspec.Struct, rename="camel", kw_only=True):
    """A forwarder, without its secrets. Counters run since its start."""

    name: str
    declared: str
    queue: str
    to: str
    target: str
    paused: bool
    draining: bool
    retiring: bool
    link: str
    link_since: float
    reason: str | None
    error: str | None
    hint: str | None
    alert: bool
    retry_in: int | None
    open: bool
    opens_at: float | None
    closes_at: float | None
    waiting: int
    delayed: int
    in_flight: int
    oldest_ms: float | None
    forwarded: int
    rejected: int
    released: int
    batches: int
    losses: int
    rate_per_s: float
    has_token: bool
    has_ca_cert: bool
    has_client_cert: bool
    server_name: str | None
    verify: bool
    durable: bool
    schedule: HoursShown | None
    rate: float | None
    batch: int
    concurrency: int
    backoff: int
    backoff_cap: int
    write_timeout: int
