"""One line of the table of routes: a path, what it asks of the command table, and how that becomes an answer.

Handlers (serve) and the OpenAPI document (openapi) are made of routes; only odd ones have a function of their own.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from aiohttp import web
from msgspec import UNSET

from hubqueue.commands.table import BY_NAME, Request
from hubqueue.errors import HubqueueError
from hubqueue.servers.http.idempotency import Idempotency
from hubqueue.servers.http.requestcontext import session_of

PREFIX: Final = "/api/v1"
_NAMES: Final = re.compile(r"{(\w+)}")

Fields = dict[str, Any]


@dataclass(slots=True)
class Asked:
    """A request that has been read and checked."""

    route: Route
    request: web.Request
    path: Mapping[str, str]
    query: Any = None  # of the type of the route, as `body`
    body: Any = None
    once: Idempotency | None = None
    size: int = 0  # bytes of the body

    async def ask(self, command: str, /, **fields: Any) -> Fields:
        """The reply of a command."""
        return await session_of(self.request).ask(command, **fields)

    async def ask_once(self, command: str, /, **fields: Any) -> Fields:
        """The reply of a command that enqueues: under an idempotency key the first one."""
        return await session_of(self.request).ask_once(self.once, self.size, command, **fields)

    async def run_once(self, command: Request, packed: int) -> Fields:
        """The same for a command that is made and checked already. packed: bytes of user data in it."""
        return await session_of(self.request).run(command, max(self.size, packed), self.once)


@dataclass(frozen=True, slots=True)
class Answered:
    """A result with a status that is not the usual one of its route."""

    result: Any
    status: int


def _answer(reply: Fields) -> Any:
    return reply.get("data", reply)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """See the module.

    reply: what its command answers (the table says it) where no other is named; None: there is nothing to tell (204).
    plain: the usual form of `body`, which is read first. media: what the body may be where it is not
    JSON of type `body`.
    enqueues: takes an idempotency key. rename: names in the path that the command calls otherwise.
    """

    method: str
    path: str
    name: str  # the operation's id
    summary: str
    tag: str
    command: str
    query: type[msgspec.Struct] | None = None
    body: Any = None
    plain: Any = None
    body_optional: bool = False
    media: tuple[str, ...] = ()
    headers: type[msgspec.Struct] | None = None
    example: Any = None
    reply: Any = UNSET
    status: int = 200
    also: Mapping[int, str] = field(default_factory=dict)  # other good statuses and what they mean
    pick: Callable[[Fields], Any] = _answer
    fixed: Mapping[str, Any] = field(default_factory=dict)  # fields of the command that the path stands for
    rename: Mapping[str, str] = field(default_factory=dict)
    errors: tuple[type[HubqueueError], ...] = ()
    enqueues: bool = False
    run: Callable[[Asked], Awaitable[Any]] | None = None

    def __post_init__(self) -> None:
        if self.reply is UNSET:
            object.__setattr__(self, "reply", BY_NAME[self.command].row.answers)

    @property
    def parameters(self) -> list[str]:
        """The names in the path."""
        return _NAMES.findall(self.path)


def sent(struct: msgspec.Struct | None) -> Fields:
    """The fields of a request that were given, by their names on the wire."""
    if struct is None:
        return {}
    names = zip(struct.__struct_fields__, struct.__struct_encode_fields__, strict=True)
    given = {wire: value for name, wire in names if (value := getattr(struct, name)) is not UNSET}
    return {wire: sent(value) if isinstance(value, msgspec.Struct) else value for wire, value in given.items()}


async def ask(asked: Asked) -> Any:
    """What a route without a function of its own does: path, query and body are the fields of its command."""
    route = asked.route
    path = {route.rename.get(name, name): value for name, value in asked.path.items()}
    fields = {**route.fixed, **sent(asked.query), **sent(asked.body), **path}
    return route.pick(await asked.ask_once(route.command, **fields))
