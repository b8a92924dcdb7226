"""Commands of the connection itself: who is there, and its workers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from msgspec import Raw

from hubqueue.commands.call import OK, Call, Work
from hubqueue.commands.command import ANYBODY, FILTERED, NOTHING, READ, TAKE, Command, Touched, command
from hubqueue.commands.workers import worker_facts
from hubqueue.model.access import EVERYTHING
from hubqueue.model.apinumber import API
from hubqueue.wire.fields import ABSENT, Count, TimeMs

PROTOCOL_VERSION: Final = 3
SERVER: Final = "hubqueue"
# the first two are the protocol's own; the others are ours, see docs/protocol.md
CAPABILITIES: Final = (
    "pipelining",
    "separate-job-name",
    "release",
    "settle",
    "renewals",
    "cancel-poll",
    "cursor",
    "all-queues",
    "forward-floor",
    "resume",
    "summaries",
    "channels",
    "keep-trying",
    "expired-events",
)
_text: Final = msgspec.msgpack.Decoder(str).decode


def _worker(command: RegisterWorker) -> Touched:
    return Touched(queues=command.queues or ())


class Info(msgspec.Struct, rename="camel", kw_only=True):
    """Which hub this is, and what it speaks. api: clients of another number have to be updated, or this hub."""

    server: str
    version: str
    hub_id: str
    epoch: str
    protocol_version: int
    api: int
    capabilities: list[str]


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


class WorkersReply(msgspec.Struct, kw_only=True):
    """Workers that have made themselves known."""

    workers: list[WorkerStanding]
    stats: WorkerSums


@command(ANYBODY, NOTHING, answers=Info)
class Hello(Command):
    """Which protocol is spoken here, and what beyond it."""

    protocol_version: Raw = ABSENT
    capabilities: Raw = ABSENT
    api: Raw = ABSENT

    def handle(self, call: Call) -> None:
        context = call.session.context
        call.answer(
            {
                "protocolVersion": PROTOCOL_VERSION,
                "api": API,
                "capabilities": CAPABILITIES,
                "server": SERVER,
                "version": context.version,
                "hubId": context.hub.hub_id,
                "epoch": context.hub.recent.epoch,
            }
        )


@command(ANYBODY, NOTHING, strangers=True)
class Auth(Command):
    """Prove who you are; nothing else is answered before."""

    token: Raw = ABSENT

    def handle(self, call: Call) -> Work | None:
        authenticator, address = call.session.context.authenticator, call.session.address
        authenticator.check_room(address)
        grant = EVERYTHING if authenticator.open else authenticator.grant(_shown(self.token))
        if grant is None:
            return authenticator.refuse(address, "TCP")
        authenticator.succeeded(address)
        call.session.authenticated(grant)
        call.answer(OK)
        return None


@command(ANYBODY, NOTHING)
class Ping(Command):
    """Is anybody there?"""

    def handle(self, call: Call) -> None:
        call.answer({"data": {"pong": True, "time": float(call.session.context.workers.now_ms())}})


@command(TAKE, _worker)
class RegisterWorker(Command):
    """Tell the hub about a worker, for people to see."""

    name: str | None = None
    queues: list[str] | None = None
    concurrency: Count = 1
    worker_id: str | None = None
    hostname: str = "unknown"
    pid: Count = 0
    started_at: TimeMs | None = None

    def handle(self, call: Call) -> None:
        session = call.session
        workers = session.context.workers
        worker = workers.register(
            self.worker_id or None,
            self.name,
            self.queues or [],
            self.concurrency,
            self.hostname,
            self.pid,
            self.started_at,
            session,
            _token(call),
        )
        session.workers[worker.id] = False
        call.answer({"data": {"workerId": worker.id, **worker_facts(worker, workers.now_ms())}})


@command(TAKE, NOTHING)
class Heartbeat(Command):
    """The worker is still there."""

    id: str
    active_jobs: Count | None = None
    processed: Count | None = None
    failed: Count | None = None

    def handle(self, call: Call) -> None:
        workers = call.session.context.workers
        workers.heartbeat(self.id, self.active_jobs, self.processed, self.failed, _token(call))
        call.answer({"data": {"ok": True}})


@command(TAKE, NOTHING)
class UnregisterWorker(Command):
    """The worker goes."""

    worker_id: str

    def handle(self, call: Call) -> None:
        session = call.session
        session.context.workers.remove(self.worker_id, _token(call))
        if self.worker_id in session.workers:
            session.workers[self.worker_id] = True
        call.answer({"data": {"removed": True}})


@command(READ, FILTERED, answers=WorkersReply)
class ListWorkers(Command):
    """All workers that the hub was told about."""

    def handle(self, call: Call) -> None:
        workers = call.session.context.workers
        shown = [worker for worker in workers.shown() if _sees_worker(call, worker)]
        active = [worker for worker in shown if worker["status"] == "active"]
        call.answer(
            {
                "data": {
                    "workers": shown,
                    "stats": {
                        "total": len(shown),
                        "active": len(active),
                        "totalProcessed": workers.processed,
                        "totalFailed": workers.failed,
                        "activeJobs": sum(worker["activeJobs"] for worker in shown),
                        "concurrencySlots": sum(worker["concurrency"] for worker in active),
                    },
                }
            }
        )


def _shown(token: msgspec.Raw) -> str:
    try:
        return _text(bytes(token))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""


def _token(call: Call) -> str | None:
    """The token by which the client came in; None: it may do everything."""
    grant = call.session.grant
    return None if grant is None or grant.unlimited else grant.name


def _sees_worker(call: Call, worker: Mapping[str, Any]) -> bool:
    return any(call.sees(queue) for queue in worker["queues"] or (None,))
