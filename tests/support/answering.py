"""An HTTP server that answers as it is told, and remembers what it was asked: what sinks post to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from ssl import Purpose as SslPurpose
from ssl import SSLContext, create_default_context
from typing import Any

import msgspec
from aiohttp import web

from support.certificates import Certificates
from support.http_server import serving


@dataclass
class Asked:
    """One request. body: as the sender had it before it was compressed."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)


@dataclass
class Answer:
    """What it answers. Without one in `answers` it says 204."""

    status: int = 204
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Answering:
    """`tell` decides by the request where `answers` is empty."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    tell: Callable[[Asked], Answer] = field(default=lambda asked: Answer())

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()  # aiohttp takes gzip off
        asked = Asked(request.method, request.path, dict(request.query), dict(request.headers), body)
        self.asked.append(asked)
        answer = self.answers.pop(0) if self.answers else self.tell(asked)
        return web.Response(status=answer.status, body=answer.body, headers=answer.headers)


@asynccontextmanager
async def answering(certificates: Certificates | None = None) -> AsyncIterator[Answering]:
    """Such a server on a free port of the loopback."""
    found = Answering()
    async with serving(found.take, "*", _context(certificates)) as found.url:
        yield found


def _context(files: Certificates | None) -> SSLContext | None:
    if files is None:
        return None
    context = create_default_context(SslPurpose.CLIENT_AUTH)
    context.load_cert_chain(files.cert, files.key)
    return context


def json_answer(status: int, value: Any) -> Answer:
    return Answer(status, msgspec.json.encode(value), {"Content-Type": "application/json"})
