"""One HTTP request as a client of the command table: its commands are asked and awaited.

Leases taken here belong to no connection: nothing is given back when the request ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from hubqueue.commands.build import build
from hubqueue.commands.call import CALL_BYTES, Call, CallContext, Reply, Session
from hubqueue.commands.dispatch import dispatch, finish
from hubqueue.commands.notifications import Notification
from hubqueue.commands.table import Request
from hubqueue.errors import Draining, HubqueueError, Invalid
from hubqueue.model.access import Grant
from hubqueue.servers.http.idempotency import Idempotency, IdempotentCall
from hubqueue.wire.fields import ABSENT


class HttpSession(Session):
    """Asks commands for one request, with the grant of who sent it. user: a name for it that people know."""

    def __init__(self, context: CallContext, address: str, grant: Grant | None, user: str | None = None) -> None:
        super().__init__(context, address)
        self.grant = grant
        self.user = user
        self._answers: dict[Call, asyncio.Future[dict[str, Any]]] = {}
        self._parked: dict[Call, Callable[[], None]] = {}
        self._away = False

    async def ask(self, name: str, /, **fields: Any) -> dict[str, Any]:
        """Run the command of this name; the fields of its reply. User data may be msgspec.Raw (MessagePack).

        Errors: those of the command.
        """
        return await self.ask_once(None, 0, name, **fields)

    async def ask_once(self, once: Idempotency | None, size: int, name: str, /, **fields: Any) -> dict[str, Any]:
        """As `ask`, but what was done before under the same key is only answered again; `once` says whether it was.

        size: bytes that the request brought. Errors: KeyReused, and those of the command.
        """
        command, packed = build(name, fields)
        return await self.run(command, max(size, packed), once)

    async def run(self, command: Request, size: int = 0, once: Idempotency | None = None) -> dict[str, Any]:
        """Run a command; a caller that is cancelled cancels its long-poll too. size: bytes that it brought."""
        cost = CALL_BYTES + size + command.row.weight
        call = Call(self, ABSENT, cost) if once is None else IdempotentCall(self, cost, once)
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
        if self._away:
            self.send_away()

    def send_away(self) -> None:
        """The hub stops: what waits for something to happen, now or later, is answered so."""
        self._away = True
        for call, cancel in tuple(self._parked.items()):
            cancel()
            self.answer(call, Draining())

    def unpark(self, req_id: msgspec.Raw) -> bool:
        return False

    def check_room(self) -> None:
        """One request is one call; the server bounds the requests."""

    def notify(self, notification: Notification) -> bool:
        raise Invalid("This needs a connection that stays", hint="use /api/v1/ws or /api/v1/events")
