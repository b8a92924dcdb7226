"""The workers that told the hub about themselves. Only for people to see: leases never depend on it.

A worker belongs to the token that registered it: only who came in with that one, or may do everything, changes it.
In memory: a worker that still lives registers again after a restart of the hub.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from hubqueue.errors import Busy, Forbidden, NotFound
from hubqueue.system import System

STALE_MS: Final = 30_000
GONE_MS: Final = 90_000
MAX_WORKERS: Final = 10_000


@dataclass(slots=True)
class Worker:
    """Units: Unix milliseconds."""

    id: str
    name: str
    queues: list[str]
    concurrency: int
    hostname: str
    pid: int
    registered_at_ms: int
    last_seen_ms: int
    active_jobs: int = 0
    processed: int = 0
    failed: int = 0
    owner: object = None  # the session that registered it last
    token: str | None = None  # by which that one came in; None: it may do everything


@dataclass(slots=True)
class Workers:
    """All of them, by id. `processed` and `failed` are sums over all there ever were."""

    now_ms: Callable[[], int]
    system: System
    processed: int = 0
    failed: int = 0
    _known: dict[str, Worker] = field(default_factory=dict)

    def register(
        self,
        id: str | None,
        name: str | None,
        queues: list[str],
        concurrency: int,
        hostname: str,
        pid: int,
        started_at_ms: int | None,
        owner: object,
        token: str | None = None,
    ) -> Worker:
        """A new worker, or new facts about a known one. It goes with its owner, unless another has taken it over.

        Errors: Busy when there are too many; Forbidden where it is another token's.
        """
        now = self.now_ms()
        self._sweep(now)
        worker = None if id is None else self._known.get(id)
        if worker is None:
            if len(self._known) >= MAX_WORKERS:
                raise Busy("Too many workers are registered")
            made = id or self.system.uuid()
            worker = Worker(made, name or made, queues, concurrency, hostname, pid, started_at_ms or now, now)
            self._known[made] = worker
        else:
            _check_token(worker, token)
            worker.queues, worker.concurrency = queues, concurrency
            worker.hostname, worker.pid, worker.last_seen_ms = hostname, pid, now
        worker.owner, worker.token = owner, token
        return worker

    def heartbeat(
        self, id: str, active: int | None, processed: int | None, failed: int | None, token: str | None = None
    ) -> None:
        """The worker lives. Errors: NotFound, Forbidden."""
        worker = self._find(id)
        _check_token(worker, token)
        worker.last_seen_ms = self.now_ms()
        worker.active_jobs = worker.active_jobs if active is None else active
        if processed is not None:
            self.processed += _grown(worker.processed, processed)
            worker.processed = processed
        if failed is not None:
            self.failed += _grown(worker.failed, failed)
            worker.failed = failed

    def remove(self, id: str, token: str | None = None) -> None:
        """The worker goes. Errors: NotFound, Forbidden."""
        _check_token(self._find(id), token)
        del self._known[id]

    def forget(self, id: str, owner: object) -> None:
        """A connection that registered the worker ended: it goes, unless it has come back by another."""
        worker = self._known.get(id)
        if worker is not None and worker.owner is owner:
            del self._known[id]

    def shown(self) -> list[dict[str, Any]]:
        """Every worker as the protocol lists it."""
        now = self.now_ms()
        self._sweep(now)
        return [
            {"id": worker.id, **worker_facts(worker, now), "uptime": float(max(0, now - worker.registered_at_ms))}
            for worker in self._known.values()
        ]

    def _find(self, id: str) -> Worker:
        worker = self._known.get(id)
        if worker is None:
            raise NotFound("Worker not found")
        return worker

    def _sweep(self, now: int) -> None:
        for worker in [each for each in self._known.values() if now - each.last_seen_ms > GONE_MS]:
            del self._known[worker.id]


def _check_token(worker: Worker, token: str | None) -> None:
    """Errors: Forbidden where it was registered by another token, unless this one may do everything."""
    if token is not None and worker.token != token:
        raise Forbidden("This worker was registered with another token", hint="leave it to that one, or to an admin")


def _grown(before: int, now: int) -> int:
    """By how much a worker's own count has grown; one that was restarted counts from 0 again."""
    return now - before if now >= before else now


def worker_facts(worker: Worker, now_ms: int) -> dict[str, Any]:
    """What is told of a worker beside its id."""
    return {
        "name": worker.name,
        "queues": worker.queues,
        "concurrency": worker.concurrency,
        "hostname": worker.hostname,
        "pid": worker.pid,
        "status": "active" if now_ms - worker.last_seen_ms < STALE_MS else "stale",
        "registeredAt": float(worker.registered_at_ms),
        "lastSeen": float(worker.last_seen_ms),
        "activeJobs": worker.active_jobs,
        "processedJobs": worker.processed,
        "failedJobs": worker.failed,
        "currentJob": None,
    }
