"""Jobs that have ended, one after the other, over broken links and restarts of the hub.

Events say that a job has ended, the hub is asked what it was. After a gap in the events the dead letters there are by
then are looked through, so that none is passed over; of jobs that were completed meanwhile nothing is known.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

from homeassistant.core import callback

from .actions import shown
from .const import LOGGER
from .coordinator import HubqueueData
from .errors import HubError
from .runs import AGAIN_S
from .snapshot import Message

COMPLETED: Final = "completed"
DEAD: Final = "failed"
EXPIRED: Final = "expired"  # the hub tells it to those only who name it
MOST_BEHIND: Final = 1000  # endings that may wait to be told
REMEMBERED: Final = 1000
PAGE: Final = 100
SAME_MS: Final = 1000.0  # a death told by an event and found in the list


class Endings:
    """kind: COMPLETED, DEAD or EXPIRED. queue None: of all queues. tell: called with each job."""

    def __init__(self, hub: HubqueueData, queue: str | None, kind: str, tell: Callable[[dict[str, Any]], None]) -> None:
        self._hub = hub
        self._queue = queue
        self._kind = kind
        self._tell = tell
        self._waiting = asyncio.Queue[Message](MOST_BEHIND)
        self._last_ms = time.time() * 1000
        self._skipped_ms = math.inf  # when the first of those died for which there was no room
        self._told = OrderedDict[str, float]()

    @callback
    def start(self) -> None:
        """Begin to listen; what has ended before is not told."""
        self._unsubscribe = self._hub.client.listen(self._queue or "*", [self._kind], self._heard)
        self._task = self._hub.runs.spawn(self._work(), f"endings of {self._queue or 'all queues'}")

    @callback
    def close(self) -> None:
        """Tell nothing more."""
        self._unsubscribe()
        self._task.cancel()

    @callback
    def _heard(self, event: Message) -> None:
        if event["eventType"] == DEAD and not event.get("terminal"):
            return
        try:
            self._waiting.put_nowait(event)
        except asyncio.QueueFull:
            if self._kind == DEAD:  # they are still there when those that wait have been told
                self._skipped_ms = min(self._skipped_ms, float(event["timestamp"]))
            else:
                LOGGER.warning("more jobs end than automations can be told of queue=%s", event["queue"])

    async def _work(self) -> None:
        while True:
            event = await self._waiting.get()
            if event["eventType"] != "gap":
                await self._one(event)
            elif self._kind == DEAD:
                await self._missed(self._last_ms)
            if self._waiting.empty() and self._skipped_ms < math.inf:
                since_ms, self._skipped_ms = self._skipped_ms - 1, math.inf
                await self._missed(since_ms)

    async def _one(self, event: Message) -> None:
        id, at_ms = event["jobId"], float(event["timestamp"])
        if not self._new(id, at_ms):
            return
        data = None if self._kind == COMPLETED else event.get("data")  # else it is the result
        job = {"id": id, "queue": event["queue"], "name": event.get("name"), "data": data}
        if self._kind == EXPIRED:  # it is gone, but for what the event says
            self._tell({**job, "state": EXPIRED, "error": event.get("error")})
            return
        try:
            job = shown((await self._hub.client.call("GetJob", id=id))["job"])
        except HubError:  # gone already, or the link is down: what the event says must do
            pass
        # it may be running again by now: the event knows how it ended
        if self._kind == COMPLETED:
            job |= {"state": "completed", "result": event.get("data")}
        else:
            job |= {"state": "failed", "error": event.get("error")}
        self._tell(job)

    async def _missed(self, since_ms: float) -> None:
        while True:
            await self._hub.client.up()
            try:
                for queue in await self._queues():
                    await self._dead_since(queue, since_ms)
            except HubError as error:
                LOGGER.debug("dead letters could not be looked through code=%s", error.code)
                if error.retryable:
                    await asyncio.sleep(AGAIN_S)
                    continue
            return

    async def _dead_since(self, queue: str, since_ms: float) -> None:
        offset = 0
        while True:
            within = {"newerThan": since_ms, "offset": offset, "limit": PAGE}
            entries = (await self._hub.client.call("Dlq", queue=queue, filter=within))["entries"]
            for entry in entries:
                if self._new(entry["job"]["id"], float(entry["enteredAt"])):
                    said = {"state": "failed", "error": entry["error"], "reason": entry["reason"]}
                    self._tell({**shown(entry["job"]), **said})
            if len(entries) < PAGE:
                return
            offset += PAGE

    async def _queues(self) -> list[str]:
        if self._queue is not None:
            return [self._queue]
        queues: list[str] = (await self._hub.client.call("ListQueues"))["queues"]
        return queues

    def _new(self, id: str, at_ms: float) -> bool:
        self._last_ms = max(self._last_ms, at_ms)
        before = self._told.pop(id, None)
        self._told[id] = at_ms
        if len(self._told) > REMEMBERED:
            self._told.popitem(last=False)
        return before is None or abs(before - at_ms) > SAME_MS
