"""A hub in this process and its typed client in one: what `hubqueue.open` gives.

A hub whose process serves others needs none of this: `Hub` has all that listeners, pipelines and forwarders ask for.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import cached_property
from typing import Any, NoReturn

import msgspec

from hubqueue.client.hubclient import A, HubClient
from hubqueue.commands.auth import Authenticator
from hubqueue.commands.build import build
from hubqueue.commands.call import CALL_BYTES, Call, CallContext, Reply, Session
from hubqueue.commands.dispatch import dispatch, finish
from hubqueue.commands.notifications import Notification
from hubqueue.commands.workers import Workers
from hubqueue.errors import HubqueueError, Invalid
from hubqueue.hub.hub import Hub
from hubqueue.wire.fields import ABSENT


class LocalHub(Hub, HubClient):
    """A hub that answers its own process, which may do everything."""

    async def ask(self, cmd: str, answer: type[A], /, *, repeatable: bool = False, **fields: object) -> A:
        command, size = build(cmd, {name: value for name, value in fields.items() if value is not None})
        call = _Asked(self._session, size)
        work = dispatch(call, command)
        if work is not None:
            await finish(call, work)
        return msgspec.convert(await call.answered, answer, from_attributes=True)

    @cached_property
    def _session(self) -> _OwnSession:
        authenticator, workers = Authenticator({}, self.system.mono_s), Workers(self.now_ms, self.system)
        return _OwnSession(CallContext(self, authenticator, workers, version=""), address="")  # nobody to greet


class _Asked(Call):
    """A command of this process."""

    __slots__ = ("answered",)

    def __init__(self, session: Session, size: int) -> None:
        super().__init__(session, ABSENT, CALL_BYTES + size)
        self.answered: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()


class _OwnSession(Session):
    """Its commands answer in their own time: none waits for something to happen, and none subscribes."""

    def answer(self, call: Call, reply: Reply) -> None:
        assert isinstance(call, _Asked)
        if call.answered.done():  # who asked was cancelled
            return
        if isinstance(reply, HubqueueError):
            call.answered.set_exception(reply)
        else:
            call.answered.set_result(reply)

    def park(self, call: Call, cancel: Callable[[], None]) -> NoReturn:
        cancel()
        raise _no_connection()

    def unpark(self, req_id: msgspec.Raw) -> bool:
        return False

    def check_room(self) -> None:
        """Nobody else asks."""

    def notify(self, notification: Notification) -> NoReturn:
        raise _no_connection()


def _no_connection() -> Invalid:
    return Invalid("This needs a connection that stays", hint="wait, subscribe and hear are verbs of their own")
