"""A hub in this process and its typed client in one: what `hubqueue.open` gives, and what an app has."""

from __future__ import annotations

from functools import cached_property

import msgspec

from hubqueue.client.hubclient import A, HubClient
from hubqueue.commands.asking import AskingSession
from hubqueue.commands.auth import Authenticator
from hubqueue.commands.build import build
from hubqueue.commands.call import CallContext
from hubqueue.commands.workers import Workers
from hubqueue.hub.hub import Hub


class LocalHub(Hub, HubClient):
    """A hub that answers its own process, which may do everything."""

    async def ask(self, cmd: str, answer: type[A], /, *, repeatable: bool = False, **fields: object) -> A:
        command, size = build(cmd, {name: value for name, value in fields.items() if value is not None})
        return msgspec.convert(await self._session.run(command, size), answer, from_attributes=True)

    @cached_property
    def _session(self) -> AskingSession:
        authenticator, workers = Authenticator({}, self.system.mono_s), Workers(self.now_ms, self.system)
        return AskingSession(CallContext(self, authenticator, workers, version=""), address="")  # nobody to greet
