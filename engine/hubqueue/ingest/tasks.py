"""Tasks that run as long as their door: one that dies must not do so in silence."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

log = logging.getLogger(__name__)


def watched(work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
    """Run it; say so if it ends by an error, which is a defect. name: begins with the kind of the door."""
    task = asyncio.get_running_loop().create_task(work, name=name)
    task.add_done_callback(_report)
    return task


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        text = "a task that takes messages has stopped, restart the hub task=%s"
        log.error(text, task.get_name(), exc_info=task.exception())
