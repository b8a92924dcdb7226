"""One HTTP request as a client of the command table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hubqueue.commands.asking import AskingSession, cost_of
from hubqueue.commands.build import build
from hubqueue.commands.call import Call, CallContext
from hubqueue.commands.table import Request
from hubqueue.errors import Draining
from hubqueue.model.access import Grant
from hubqueue.servers.http.idempotency import Idempotency, IdempotentCall


class HttpSession(AskingSession):
    """Asks commands for one request, with the grant of who sent it. user: a name for it that people know."""

    def __init__(self, context: CallContext, address: str, grant: Grant | None, user: str | None = None) -> None:
        super().__init__(context, address)
        self.grant = grant
        self.user = user
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
        """As AskingSession; as `ask_once` where there is a key."""
        if once is None:
            return await super().run(command, size)
        return await self._answered(IdempotentCall(self, cost_of(command, size), once), command)

    def park(self, call: Call, cancel: Callable[[], None]) -> None:
        super().park(call, cancel)
        if self._away:
            self.send_away()

    def send_away(self) -> None:
        """The hub stops: what waits for something to happen, now or later, is answered so."""
        self._away = True
        for call, cancel in tuple(self._parked.items()):
            cancel()
            self.answer(call, Draining())
