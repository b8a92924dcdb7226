"""A session without a connection: its commands are asked and awaited, each by itself. For HTTP and a hub's own process.

Leases taken here belong to no connection: nothing is given back at its end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from hubqueue.commands.call import CALL_BYTES, Call, CallContext, Reply, Session
from hubqueue.commands.dispatch import dispatch, finish
from hubqueue.commands.notifications import Notification
from hubqueue.commands.table import Request
from hubqueue.errors import HubqueueError
from hubqueue.wire.fields import ABSENT


class AskingSession(Session):
    """One who asks."""

    listens = False

    def __init__(self, context: CallContext, address: str) -> None:
        super().__init__(context, address)
        self._answers: dict[Call, asyncio.Future[dict[str, Any]]] = {}
        self._parked: dict[Call, Callable[[], None]] = {}

    async def run(self, command: Request, size: int = 0) -> dict[str, Any]:
        """Run a command; a caller that is cancelled cancels its long-poll too. size: bytes that it brought.

        Errors: those of the command.
        """
        return await self._answered(Call(self, ABSENT, cost_of(command, size)), command)

    async def _answered(self, call: Call, command: Request) -> dict[str, Any]:
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._answers[call] = answer
        try:
            work = dispatch(call, command)
            if work is not None:
                await finish(call, work)
            return await answer
        finally:
            self._answers.pop(call, None)
            cancel = self._parked.pop(call, None)
            if cancel is not None:
                cancel()

    def answer(self, call: Call, reply: Reply) -> None:
        self._parked.pop(call, None)
        answer = self._answers.get(call)
        if answer is None or answer.done():
            return
        if isinstance(reply, HubqueueError):
            answer.set_exception(reply)
        else:
            answer.set_result(reply)

    def park(self, call: Call, cancel: Callable[[], None]) -> None:
        self._parked[call] = cancel

    def unpark(self, req_id: msgspec.Raw) -> bool:
        return False

    def check_room(self) -> None:
        """Who awaits each answer asks for no more than it can hold."""

    def notify(self, notification: Notification) -> bool:
        return False


def cost_of(command: Request, size: int) -> int:
    """What a command that brought so many bytes weighs until it is answered."""
    return CALL_BYTES + size + command.row.weight
