"""Commands that change a whole queue. Long ones are work in slices; the client's next commands wait."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from hubqueue.commands.call import Call
from hubqueue.commands.command import ADMIN, READ, Changed, Command, command, its_queue
from hubqueue.hub.verbs import change, configure, query, queues
from hubqueue.model.limits import check_queue
from hubqueue.model.queue_settings import StallSettings
from hubqueue.model.state import State
from hubqueue.model.verbs import Retried
from hubqueue.wire.fields import Count, TimeMs, Whole

MAX_CLEANED: Final = 100_000  # ids of one reply
# words for "queued, whatever the view"; absent means the same
QUEUED_WORDS: Final = (None, "waiting", "wait", "delayed", "prioritized", "paused")
CLEANABLE: Final[dict[str | None, tuple[State, ...]]] = {
    **dict.fromkeys(QUEUED_WORDS, (State.WAITING, State.DELAYED)),
    "completed": (State.COMPLETED,),
    "failed": (State.FAILED,),
}


class Cleaned(msgspec.Struct):
    """The jobs that are gone."""

    count: int
    ids: list[str]


@command(ADMIN, its_queue)
class Pause(Command):
    """Hand out no more jobs of a queue."""

    queue: str

    def handle(self, call: Call) -> None:
        queue = check_queue(self.queue)
        call.run(lambda tx: queues.pause(tx, queue))


@command(ADMIN, its_queue)
class Resume(Command):
    """Hand out jobs of a queue again."""

    queue: str

    def handle(self, call: Call) -> None:
        queue = check_queue(self.queue)
        call.run(lambda tx: queues.resume(tx, queue))


@command(READ, its_queue)
class IsPaused(Command):
    """Whether a queue is paused."""

    queue: str

    def handle(self, call: Call) -> None:
        call.run(lambda tx: query.is_paused(tx, self.queue), lambda paused: {"paused": paused})


@command(ADMIN, its_queue, answers=Changed)
class Drain(Command):
    """Delete the queued jobs of a queue."""

    queue: str

    async def handle(self, call: Call) -> dict[str, Any]:
        return {"count": await call.session.context.hub.long_work.drain(self.queue)}


@command(ADMIN, its_queue)
class Obliterate(Command):
    """Delete a queue with everything in it. force (ours): false: only one that holds no job but completed ones."""

    queue: str
    force: bool = True

    def handle(self, call: Call) -> None:
        call.run(lambda tx: queues.obliterate(tx, self.queue, force=self.force))


@command(ADMIN, its_queue, answers=Cleaned)
class Clean(Command):
    """Delete jobs that are older than `grace`, oldest first."""

    queue: str
    grace: Count | None = None
    state: str | None = None
    limit: Whole = 1000

    async def handle(self, call: Call) -> dict[str, Any]:
        hub, limit = call.session.context.hub, min(self.limit, MAX_CLEANED)
        ids: list[str] = []
        if self.grace is not None:
            for state in CLEANABLE.get(self.state, ()):
                if len(ids) < limit:
                    ids += await hub.long_work.clean(self.queue, self.grace, limit - len(ids), state)
        return {"count": len(ids), "ids": ids}


@command(ADMIN, its_queue)
class RetryCompleted(Command):
    """Run completed jobs again."""

    queue: str
    id: str | None = None
    count: Whole | None = None
    timestamp: TimeMs | None = None

    async def handle(self, call: Call) -> dict[str, Any]:
        if self.id is not None:
            return retried(await retry_one(call, self.queue, self.id, State.COMPLETED))
        limit = None if self.count is None else max(0, self.count)
        work = call.session.context.hub.long_work
        return retried(await work.retry_all(self.queue, State.COMPLETED, limit=limit, before_ms=self.timestamp))


@command(ADMIN, its_queue)
class SetStallConfig(Command):
    """Say when a silent worker counts as stalled."""

    queue: str
    config: dict[str, Any]

    def handle(self, call: Call) -> None:
        queue = check_queue(self.queue)
        call.run(lambda tx: configure.set_stall_config(tx, queue, self.config))


@command(READ, its_queue)
class GetStallConfig(Command):
    """When a silent worker counts as stalled."""

    queue: str

    def handle(self, call: Call) -> None:
        def shape(found: StallSettings) -> dict[str, Any]:
            return {
                "config": {
                    "enabled": found.enabled,
                    "stallInterval": float(found.interval_ms),
                    "maxStalls": found.max_stalls,
                    "gracePeriod": float(found.grace_ms),
                }
            }

        call.run(lambda tx: configure.stall_config(tx, self.queue), shape)


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

    return await call.session.context.hub.run(verb)
