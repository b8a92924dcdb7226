"""Handlers of the client's own affairs: who it is, its workers, the state of the hub."""

from __future__ import annotations

import gc
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from hubqueue.model.access import EVERYTHING
from hubqueue.servers.door import OK, Call, Handlers, Work
from hubqueue.servers.workers import worker_facts
from hubqueue.wire.commands import session as wire

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


def hello(call: Call, command: wire.Hello) -> None:
    door = call.session.door
    call.answer(
        {
            "protocolVersion": PROTOCOL_VERSION,
            "capabilities": CAPABILITIES,
            "server": SERVER,
            "version": door.version,
            "hubId": door.hub.hub_id,
            "epoch": door.hub.recent.epoch,
        }
    )


def auth(call: Call, command: wire.Auth) -> Work | None:
    gate, address = call.session.door.gate, call.session.address
    gate.check_room(address)
    grant = EVERYTHING if gate.open else gate.grant(_shown(command.token))
    if grant is None:
        return gate.refuse(address, "TCP")
    gate.succeeded(address)
    call.session.welcome(grant)
    call.answer(OK)
    return None


def _shown(token: msgspec.Raw) -> str:
    try:
        return _text(bytes(token))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""


def ping(call: Call, command: wire.Ping) -> None:
    call.answer({"data": {"pong": True, "time": float(call.session.door.workers.now_ms())}})


def register_worker(call: Call, command: wire.RegisterWorker) -> None:
    session = call.session
    workers = session.door.workers
    worker = workers.register(
        command.worker_id or None,
        command.name,
        command.queues or [],
        command.concurrency,
        command.hostname,
        command.pid,
        command.started_at,
        session,
        _token(call),
    )
    session.workers[worker.id] = False
    call.answer({"data": {"workerId": worker.id, **worker_facts(worker, workers.now_ms())}})


def worker_heartbeat(call: Call, command: wire.Heartbeat) -> None:
    workers = call.session.door.workers
    workers.heartbeat(command.id, command.active_jobs, command.processed, command.failed, _token(call))
    call.answer({"data": {"ok": True}})


def unregister_worker(call: Call, command: wire.UnregisterWorker) -> None:
    session = call.session
    session.door.workers.remove(command.worker_id, _token(call))
    if command.worker_id in session.workers:
        session.workers[command.worker_id] = True
    call.answer({"data": {"removed": True}})


def _token(call: Call) -> str | None:
    """The token by which the client came in; None: it may do everything."""
    grant = call.session.grant
    return None if grant is None or grant.unlimited else grant.name


def list_workers(call: Call, command: wire.ListWorkers) -> None:
    workers = call.session.door.workers
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


def _sees_worker(call: Call, worker: Mapping[str, Any]) -> bool:
    return any(call.sees(queue) for queue in worker["queues"] or (None,))


def storage_status(call: Call, command: wire.StorageStatus) -> None:
    call.answer({"data": {"diskFull": call.session.door.hub.disk_full, "error": None, "since": None}})


def compact_memory(call: Call, command: wire.CompactMemory) -> None:
    gc.collect()
    call.answer(OK)


HANDLERS: Final[Handlers] = {
    wire.Hello: hello,
    wire.Auth: auth,
    wire.Ping: ping,
    wire.RegisterWorker: register_worker,
    wire.Heartbeat: worker_heartbeat,
    wire.UnregisterWorker: unregister_worker,
    wire.ListWorkers: list_workers,
    wire.StorageStatus: storage_status,
    wire.CompactMemory: compact_memory,
}
