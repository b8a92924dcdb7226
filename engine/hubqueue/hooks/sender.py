"""Works off the queue of webhook deliveries: one signed POST each, tried again by the queue's own back-off.

Built by app.py. A delivery whose webhook is gone or disabled is done.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Final

import msgspec

from hubqueue.errors import HubqueueError
from hubqueue.hub.hub import Hub
from hubqueue.model.job import Leased
from hubqueue.model.outcome import Fail, Reject
from hubqueue.model.webhook import QUEUE, Delivery

if TYPE_CHECKING:
    from hubqueue.hooks.post import Post

log = logging.getLogger(__name__)

AT_ONCE: Final = 16
OWNER: Final = "webhooks"
LEASE_MS: Final = 60_000
POLL_MS: Final = 30_000
PAUSE_S: Final = 1.0  # after the hub itself had an error

_read = msgspec.msgpack.Decoder(Delivery).decode


class Sender:
    """Runs from `start` to `close`."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Take back what an earlier life of this hub was about to send, and begin."""
        await self._hub.reclaim(QUEUE, OWNER)
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def close(self) -> None:
        """Stop; what is under way is given back. Safe to call twice."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await self._hub.reclaim(QUEUE, OWNER)

    async def _run(self) -> None:
        leased: list[Leased] = []
        while not leased:
            leased = await self._lease()
        from hubqueue.hooks.post import Post  # a hub without webhooks does not carry its libraries

        async with Post(self._hub.webhooks.guard) as post:
            while True:
                ended = await asyncio.gather(*(self._deliver(post, each) for each in leased), return_exceptions=True)
                for error in ended:
                    if isinstance(error, HubqueueError):
                        log.warning("A delivery could not be settled; it is made again. error=%s", error)
                    elif error is not None:
                        log.error("A delivery failed: a defect", exc_info=error)
                leased = await self._lease()

    async def _lease(self) -> list[Leased]:
        while True:
            try:
                return await self._hub.lease(QUEUE, AT_ONCE, owner=OWNER, lease_ms=LEASE_MS, wait_ms=POLL_MS)
            except HubqueueError as error:
                log.warning("Webhooks wait for the hub. error=%s", error)
                await asyncio.sleep(PAUSE_S)

    async def _deliver(self, post: Post, leased: Leased) -> None:
        webhook = self._hub.webhooks.find(leased.job.name)
        failure: Fail | Reject | None = None
        try:
            delivery = _read(leased.job.data or b"")
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            failure = Reject(f"not a delivery: {error}")
        if failure is None and webhook is not None and webhook.enabled:
            failure = await post.send(webhook, delivery)
        await self._hub.run(lambda tx: self._hub.webhooks.delivered(tx, leased, failure))
