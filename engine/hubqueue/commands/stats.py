"""Commands of those who watch a hub: totals, minutes, memory."""

from __future__ import annotations

import gc
from pathlib import Path
from resource import getpagesize
from typing import Any, Final

from hubqueue.commands.call import OK, Call, CallContext
from hubqueue.commands.command import ADMIN, NOTHING, READ, WHOLE_HUB, Command, command, its_queue, queue_or_all
from hubqueue.errors import Invalid
from hubqueue.hub.metrics import Series
from hubqueue.hub.verbs import query
from hubqueue.model.limits import check_queue
from hubqueue.model.verbs import QueueInfo
from hubqueue.wire.fields import Whole

MB: Final = 1_000_000
STATM: Final = Path("/proc/self/statm")
TYPES: Final = ("completed", "failed")


@command(READ, WHOLE_HUB)
class Stats(Command):
    """Jobs by state over all queues, and how long the hub has been running."""

    def handle(self, call: Call) -> None:
        call.run(query.queues, lambda infos: {"stats": sums(call.session.context, infos)})


@command(READ, queue_or_all)
class Metrics(Command):
    """Totals since the start; with `queue` and `type` the ended jobs of that queue per minute."""

    queue: str | None = None
    type: str | None = None
    start: Whole = 0
    end: Whole = -1

    def handle(self, call: Call) -> None:
        hub = call.session.context.hub
        if self.queue is None and self.type is None:
            pushed, pulled, completed, failed = hub.metrics.totals
            call.answer(
                {
                    "metrics": {
                        "totalPushed": pushed,
                        "totalPulled": pulled,
                        "totalCompleted": completed,
                        "totalFailed": failed,
                        "avgLatencyMs": 0.0,
                        "avgProcessingMs": 0.0,
                        "memoryUsageMb": memory_mb(),
                        "sqliteSizeMb": hub.used_bytes / MB,
                        "activeConnections": 0,
                    }
                }
            )
            return
        if self.queue is None:
            raise Invalid("Metrics queue is required")
        queue, start, end = check_queue(self.queue), self.start, self.end
        if self.type not in TYPES:
            raise Invalid("Metrics type must be 'completed' or 'failed'")
        if start < 0:
            raise Invalid("start must be a non-negative safe integer")
        of = hub.metrics.completed_of if self.type == "completed" else hub.metrics.failed_of

        def shape(series: Series) -> dict[str, Any]:
            points = series.counts[start:] if end == -1 else series.counts[start : end + 1 or None]
            meta = {"count": series.total, "prevTS": float(series.newest_ms), "prevCount": series.newest}
            return {"data": {"meta": meta, "data": points, "count": len(series.counts)}}

        call.run(lambda tx: of(tx, queue), shape)


@command(ADMIN, its_queue)
class TrimEvents(Command):
    """Keep at most `maxLength` old events of a queue; a hub keeps none."""

    queue: str
    max_length: Whole

    def handle(self, call: Call) -> None:
        check_queue(self.queue)
        if self.max_length < 0:
            raise Invalid("maxLength must be a non-negative safe integer")
        call.answer({"data": {"removed": 0}})


@command(READ, NOTHING)
class StorageStatus(Command):
    """Whether jobs can be stored."""

    def handle(self, call: Call) -> None:
        call.answer({"data": {"diskFull": call.session.context.hub.disk_full, "error": None, "since": None}})


@command(ADMIN, WHOLE_HUB)
class CompactMemory(Command):
    """Free what memory can be freed."""

    def handle(self, call: Call) -> None:
        gc.collect()
        call.answer(OK)


def sums(context: CallContext, infos: list[QueueInfo]) -> dict[str, Any]:
    """The jobs of all queues by state, and how fast they come and go."""
    counts = [info.counts for info in infos]
    _, _, _, failed = context.hub.metrics.totals
    push_rate, pull_rate, _, _ = context.hub.metrics.rates(context.hub.now_ms())
    return {
        "waiting": sum(each.waiting + each.paused for each in counts),
        "prioritized": sum(each.prioritized for each in counts),
        "active": sum(each.active for each in counts),
        "delayed": sum(each.delayed for each in counts),
        "dlq": sum(each.failed for each in counts),
        "completed": sum(each.completed for each in counts),
        "failed": failed,
        "uptime": float(context.uptime_ms()),
        "pushPerSec": push_rate,
        "pullPerSec": pull_rate,
    }


def memory_mb() -> float:
    """Resident memory of this process."""
    try:
        return int(STATM.read_text().split()[1]) * getpagesize() / MB
    except OSError:
        return 0.0
