"""Long-polls over a link: armed again for the rest of their time after a gap, and called off when nobody waits."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from itertools import count
from typing import Final

from hubqueue.client.connection import Connection
from hubqueue.errors import HubqueueError

CALL_OFF_S: Final = 2.0  # a hub that takes longer to answer gets its jobs back when their leases end

log = logging.getLogger(__name__)


class Polls:
    """The long-polls of one link."""

    def __init__(self, link: Connection) -> None:
        self._link = link
        self._numbers = count(1)

    async def ask(self, cmd: str, fields: dict[str, object], wait_ms: int) -> bytes:
        """The reply to a command that may wait so long. Units: milliseconds."""
        loop = asyncio.get_running_loop()
        ends = loop.time() + wait_ms / 1000

        def rest() -> dict[str, object]:
            return {**fields, "timeout": max(0, round((ends - loop.time()) * 1000))}

        return await self._link.request(cmd, rest, timeout_s=wait_ms / 1000 + self._link.settings.request_timeout_s)

    async def ask_for_jobs(
        self, cmd: str, fields: dict[str, object], wait_ms: int, give_back: Callable[[bytes], Awaitable[None]]
    ) -> bytes:
        """As `ask`. When it is cancelled, a reply that comes all the same goes to `give_back` before it ends."""
        poll = f"poll-{next(self._numbers)}"
        asked = asyncio.ensure_future(self.ask(cmd, {"reqId": poll, **fields}, wait_ms))
        try:
            return await asyncio.shield(asked)
        except asyncio.CancelledError:
            await asyncio.shield(asyncio.ensure_future(self._call_off(poll, asked, give_back)))
            raise

    async def _call_off(
        self, poll: str, asked: asyncio.Future[bytes], give_back: Callable[[bytes], Awaitable[None]]
    ) -> None:
        if not self._link.state.up:  # whatever was handed out went down with the link; the hub knows
            asked.cancel()
            return
        try:
            await self._link.request("CancelPoll", {"poll": poll}, timeout_s=CALL_OFF_S)
            if asked.done():
                await give_back(await asked)
        except HubqueueError as error:
            log.warning("a poll was not called off, jobs given to it wait for their lease to end code=%s", error.code)
        finally:
            asked.cancel()  # replies come in order: now there will be none
