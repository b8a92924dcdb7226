"""Commands of the connection itself: who is there, events, workers, the state of the hub."""

from __future__ import annotations

from msgspec import Raw

from hubqueue.wire.commands.base import Command
from hubqueue.wire.fields import ABSENT, Count, TimeMs


class Hello(Command, tag="Hello", gc=False, kw_only=True):
    """Which protocol is spoken here, and what beyond it."""

    protocol_version: Raw = ABSENT
    capabilities: Raw = ABSENT


class Auth(Command, tag="Auth", gc=False, kw_only=True):
    """Prove who you are; nothing else is answered before."""

    token: Raw = ABSENT


class Health(Command, tag="Health", gc=False, kw_only=True):
    """Whether the hub takes jobs and its links are up; `links` false leaves the links out."""

    links: bool = True


class Ping(Command, tag="Ping", gc=False, kw_only=True):
    """Is anybody there?"""


class SubscribeEvents(Command, tag="SubscribeEvents", gc=False, kw_only=True):
    """Send events of one queue, or of all (`*`), on this connection; ours: how, and since when."""

    queue: str
    kinds: list[str] | None = None
    add: bool = False
    since: Count | None = None
    epoch: str | None = None


class UnsubscribeEvents(Command, tag="UnsubscribeEvents", gc=False, kw_only=True):
    """Send no more events; ours: of this queue, by the name it was asked for."""

    queue: str | None = None


class RegisterWorker(Command, tag="RegisterWorker", gc=False, kw_only=True):
    """Tell the hub about a worker, for people to see."""

    name: str | None = None
    queues: list[str] | None = None
    concurrency: Count = 1
    worker_id: str | None = None
    hostname: str = "unknown"
    pid: Count = 0
    started_at: TimeMs | None = None


class Heartbeat(Command, tag="Heartbeat", gc=False, kw_only=True):
    """The worker is still there."""

    id: str
    active_jobs: Count | None = None
    processed: Count | None = None
    failed: Count | None = None


class UnregisterWorker(Command, tag="UnregisterWorker", gc=False, kw_only=True):
    """The worker goes."""

    worker_id: str


class ListWorkers(Command, tag="ListWorkers", gc=False, kw_only=True):
    """All workers that the hub was told about."""


class Stats(Command, tag="Stats", gc=False, kw_only=True):
    """Jobs by state over all queues, and how long the hub has been running."""


class StorageStatus(Command, tag="StorageStatus", gc=False, kw_only=True):
    """Whether jobs can be stored."""


class CompactMemory(Command, tag="CompactMemory", gc=False, kw_only=True):
    """Free what memory can be freed."""
