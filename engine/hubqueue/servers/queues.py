"""Handlers of commands that change a whole queue. Long ones are work in slices; the client's next commands wait."""

from __future__ import annotations

from typing import Any, Final

from hubqueue.hub.verbs import change, query, queues
from hubqueue.model.limits import check_queue
from hubqueue.model.state import State
from hubqueue.model.verbs import Retried
from hubqueue.servers.door import Call, Handlers
from hubqueue.wire.commands import queues as wire

MAX_CLEANED: Final = 100_000  # ids of one reply
# words for "queued, whatever the view"; absent means the same
QUEUED_WORDS: Final = (None, "waiting", "wait", "delayed", "prioritized", "paused")
CLEANABLE: Final[dict[str | None, tuple[State, ...]]] = {
    **dict.fromkeys(QUEUED_WORDS, (State.WAITING, State.DELAYED)),
    "completed": (State.COMPLETED,),
    "failed": (State.FAILED,),
}


def pause(call: Call, command: wire.Pause) -> None:
    queue = check_queue(command.queue)
    call.run(lambda tx: queues.pause(tx, queue))


def resume(call: Call, command: wire.Resume) -> None:
    queue = check_queue(command.queue)
    call.run(lambda tx: queues.resume(tx, queue))


def is_paused(call: Call, command: wire.IsPaused) -> None:
    call.run(lambda tx: query.is_paused(tx, command.queue), lambda paused: {"paused": paused})


async def drain(call: Call, command: wire.Drain) -> dict[str, Any]:
    return {"count": await call.session.door.hub.drain(command.queue)}


def obliterate(call: Call, command: wire.Obliterate) -> None:
    call.run(lambda tx: queues.obliterate(tx, command.queue, force=command.force))


async def clean(call: Call, command: wire.Clean) -> dict[str, Any]:
    hub, limit = call.session.door.hub, min(command.limit, MAX_CLEANED)
    ids: list[str] = []
    if command.grace is not None:
        for state in CLEANABLE.get(command.state, ()):
            if len(ids) < limit:
                ids += await hub.clean(command.queue, command.grace, limit - len(ids), state)
    return {"count": len(ids), "ids": ids}


async def retry_completed(call: Call, command: wire.RetryCompleted) -> dict[str, Any]:
    if command.id is not None:
        return retried(await retry_one(call, command.queue, command.id, State.COMPLETED))
    limit = None if command.count is None else max(0, command.count)
    hub = call.session.door.hub
    return retried(await hub.retry_all(command.queue, State.COMPLETED, limit=limit, before_ms=command.timestamp))


def retried(done: Retried) -> dict[str, Any]:
    """The fields of a reply: what there is beside the count only where there is any."""
    more = {"passed": done.passed, "kept": done.kept, "why": done.why}
    return {"count": done.again, **{name: value for name, value in more.items() if value}}


async def retry_one(call: Call, queue: str, id: str, state: State) -> Retried:
    """Retry a job if it is in that state of that queue."""

    def verb(tx: Any) -> Retried:
        job = query.find(tx, id)
        there = job is not None and job.queue == queue and job.state is state
        return change.retry(tx, id) if there else Retried()

    return await call.session.door.hub.run(verb)


HANDLERS: Final[Handlers] = {
    wire.Pause: pause,
    wire.Resume: resume,
    wire.IsPaused: is_paused,
    wire.Drain: drain,
    wire.Obliterate: obliterate,
    wire.Clean: clean,
    wire.RetryCompleted: retry_completed,
}
