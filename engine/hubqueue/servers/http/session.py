"""One HTTP request as a client of the command table: its commands are asked and awaited.

Leases taken here belong to no connection: nothing is given back when the request ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from hubqueue.errors import HubqueueError, Invalid
from hubqueue.model.access import Grant
from hubqueue.model.verbs import Event
from hubqueue.servers.commands import WEIGHTS, dispatch, finish
from hubqueue.servers.door import CALL_BYTES, Call, Door, Reply, Session
from hubqueue.wire.commands import Request
from hubqueue.wire.fields import ABSENT
from hubqueue.wire.requests import BadRequest, decode_request

_encode = msgspec.msgpack.Encoder().encode


class HttpSession(Session):
    """Asks commands for one request, with the grant of who sent it."""

    def __init__(self, door: Door, address: str, grant: Grant | None) -> None:
        super().__init__(door, address)
        self.grant = grant
        self._answers: dict[Call, asyncio.Future[dict[str, Any]]] = {}
        self._parked: dict[Call, Callable[[], None]] = {}

    async def ask(self, name: str, **fields: Any) -> dict[str, Any]:
        """Run the command of this name; the fields of its reply. Values may be msgspec.Raw (MessagePack).

        Errors: those of the command.
        """
        try:
            command = decode_request(_encode({"cmd": name, **fields}))
        except BadRequest as bad:
            raise bad.error from None
        return await self.run(command)

    async def run(self, command: Request) -> dict[str, Any]:
        """Run a command; a caller that is cancelled cancels its long-poll too."""
        call = Call(self, ABSENT, CALL_BYTES + WEIGHTS.get(type(command), 0))
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
        """One request is one call; the server bounds the requests."""

    def tell(self, event: Event) -> None:
        raise Invalid("Events need a WebSocket", hint="connect to /api/v1/ws")
