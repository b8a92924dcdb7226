"""Handlers of the client's own affairs: who it is, its events, its workers, the state of the hub."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from hubqueue.errors import Forbidden, NotAuthenticated
from hubqueue.model.access import EVERYTHING
from hubqueue.model.limits import check_queue
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
)
EVERY_QUEUE: Final = "*"

log = logging.getLogger(__name__)

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
        }
    )


def auth(call: Call, command: wire.Auth) -> Work | None:
    gate, address = call.session.door.gate, call.session.address
    grant = EVERYTHING if gate.open else gate.grant(_shown(command.token))
    if grant is not None:
        gate.succeeded(address)
        call.session.welcome(grant)
        call.answer(OK)
        return None
    delay_s = gate.failed(address)
    log.warning("TCP token refused, the answer is held back. address=%s delay_s=%.1f", address, delay_s)
    return _refuse(delay_s)


async def _refuse(delay_s: float) -> dict[str, Any]:
    await asyncio.sleep(delay_s)
    raise NotAuthenticated("Invalid token")


def _shown(token: msgspec.Raw) -> str:
    try:
        return _text(bytes(token))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return ""


def ping(call: Call, command: wire.Ping) -> None:
    call.answer({"data": {"pong": True, "time": float(call.session.door.workers.now_ms())}})


def subscribe(call: Call, command: wire.SubscribeEvents) -> None:
    session = call.session
    queue = None if command.queue == EVERY_QUEUE else check_queue(command.queue)
    listening = _listen(call, queue)
    _unsubscribe(call)
    session.unsubscribe = listening
    call.answer(OK)


def _listen(call: Call, queue: str | None) -> Callable[[], None]:
    """Subscribe to a queue, or to all that the client may see."""
    session = call.session
    listen, own = session.door.hub.listen, session.grant.queues if session.grant is not None else frozenset()
    if own is None:
        return listen(queue, session.tell)
    if queue is not None and queue not in own:
        raise Forbidden("This token may not see the events of that queue", hint=f"its queues: {', '.join(sorted(own))}")
    ends = [listen(each, session.tell) for each in (own if queue is None else (queue,))]

    def end() -> None:
        for each in ends:
            each()

    return end


def unsubscribe(call: Call, command: wire.UnsubscribeEvents) -> None:
    _unsubscribe(call)
    call.answer(OK)


def _unsubscribe(call: Call) -> None:
    session = call.session
    if session.unsubscribe is not None:
        session.unsubscribe()
        session.unsubscribe = None


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
    )
    session.workers[worker.id] = False
    call.answer({"data": {"workerId": worker.id, **worker_facts(worker, workers.now_ms())}})


def worker_heartbeat(call: Call, command: wire.Heartbeat) -> None:
    call.session.door.workers.heartbeat(command.id, command.active_jobs, command.processed, command.failed)
    call.answer({"data": {"ok": True}})


def unregister_worker(call: Call, command: wire.UnregisterWorker) -> None:
    session = call.session
    session.door.workers.remove(command.worker_id)
    if command.worker_id in session.workers:
        session.workers[command.worker_id] = True
    call.answer({"data": {"removed": True}})


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
    wire.SubscribeEvents: subscribe,
    wire.UnsubscribeEvents: unsubscribe,
    wire.RegisterWorker: register_worker,
    wire.Heartbeat: worker_heartbeat,
    wire.UnregisterWorker: unregister_worker,
    wire.ListWorkers: list_workers,
    wire.StorageStatus: storage_status,
    wire.CompactMemory: compact_memory,
}
