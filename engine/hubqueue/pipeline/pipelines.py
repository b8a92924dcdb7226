"""The pipelines of a hub process: all of them started, shown and stopped together. Built by app.py."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from hubqueue.hub.hub import Hub
from hubqueue.pipeline.plan import Pipeline
from hubqueue.pipeline.process import OwnProcess, Setup
from hubqueue.pipeline.runner import Runner
from hubqueue.pipeline.status import PipelineStatus

log = logging.getLogger(__name__)


class Pipelines:
    """`start` until `stop`. setup: for those in a process of their own; None when there are none.

    Units: grace_s seconds that a batch in work may take at a stop.
    """

    def __init__(self, hub: Hub, plans: Sequence[Pipeline], setup: Setup | None, *, grace_s: float) -> None:
        self._grace_s = grace_s
        self._parts: list[Runner | OwnProcess] = []
        self._running: list[asyncio.Task[None]] = []
        for plan in plans:
            if plan.process == "own" and setup is not None:
                self._parts.append(OwnProcess(hub, plan, setup, grace_s=grace_s))
            else:
                self._parts.append(Runner(hub, plan, hub.now_ms))

    def start(self) -> None:
        """Begin to work. Call it in the running event loop, once."""
        for part in self._parts:
            name = part.pipeline.name
            self._running.append(asyncio.create_task(part.run(), name=f"pipeline-{name}"))
            log.info("pipeline works pipeline=%s process=%s", name, part.pipeline.process)

    async def stop(self) -> None:
        """Take no more jobs, settle what is in work, give the rest back."""
        for part in self._parts:
            part.stop()
        if self._running:
            _, late = await asyncio.wait(self._running, timeout=self._grace_s)
            for task in late:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)

    def statuses(self) -> list[tuple[Pipeline, PipelineStatus]]:
        """How each goes, by name."""
        return sorted(((part.pipeline, part.shown()) for part in self._parts), key=lambda each: each[0].name)
