"""Tells the Supervisor where this hub is, until it has heard it: then Home Assistant offers the integration.

Built by app.py once the port answers. A Supervisor that is busy or starting is asked again.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final

from hubqueue.errors import HubqueueError
from hubqueue.model.backoff import ExponentialBackoff
from hubqueue.supervisor.client import Supervisor

log = logging.getLogger(__name__)

FIRST_RETRY_S: Final = 1.0
MAX_RETRY_S: Final = 60.0


class Announcer:
    """Runs from `start` until it was heard or `close`."""

    def __init__(self, supervisor: Supervisor, config: dict[str, Any]) -> None:
        self._supervisor = supervisor
        self._config = config
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run(), name="announcer")

    async def close(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _run(self) -> None:
        backoff = ExponentialBackoff(FIRST_RETRY_S, MAX_RETRY_S)
        told = False
        while True:
            try:
                await self._supervisor.announce(self._config)
            except HubqueueError as error:
                if not told:
                    log.warning("Home Assistant was not told of this hub yet, trying again: %s", error)
                    told = True
            else:
                log.info("Home Assistant knows of this hub host=%s port=%d", self._config["host"], self._config["port"])
                return
            await asyncio.sleep(backoff.next_s())
