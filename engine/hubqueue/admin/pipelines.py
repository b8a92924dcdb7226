"""The pipelines of a running hub: what each takes and gives, and why one waits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hubqueue.admin.running import Running
from hubqueue.commands import operator as commands
from hubqueue.commands.call import Operation

if TYPE_CHECKING:
    from hubqueue.pipeline.plan import Pipeline
    from hubqueue.pipeline.status import PipelineStatus


def operations(running: Running) -> Mapping[str, Operation]:
    async def pipelines(command: commands.Pipelines) -> dict[str, Any]:
        found = [] if running.pipelines is None else running.pipelines.statuses()
        return {"pipelines": [shown(plan, status) for plan, status in found]}

    return {"Pipelines": pipelines}


def shown(plan: Pipeline, status: PipelineStatus) -> dict[str, Any]:
    """A pipeline as `Pipelines` answers it. Units: milliseconds, microseconds."""
    return {
        "name": plan.name,
        "queue": None if plan.source is None else plan.source.queue,
        "to": [getattr(to, "queue", None) or f"channel {getattr(to, 'channel', '')}" for to in plan.to],
        "steps": [step.name for step in plan.steps],
        "process": plan.process,
        "trouble": status.trouble,
        "shared": status.shared,
        "taken": status.taken,
        "given": status.given,
        "refused": status.refused,
        "failed": status.failed,
        "late": status.late,
        "lost": status.lost,
        "released": status.released,
        "batches": status.batches,
        "restarts": status.restarts,
        "open": status.open,
        "lagMs": float(status.lag_ms),
        "usPerRecord": round(status.us_per_record, 1),
    }
