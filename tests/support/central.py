"""The server that jobs are forwarded to, hubqueue or bunqueue, and what it has, seen through its own TCP door."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Literal, cast

import msgspec

from hubqueue.client.address import LinkSettings, Tls
from hubqueue.client.local import LocalHub
from hubqueue.client.session import Session
from hubqueue.servers.settings import TcpSettings, TlsFiles
from hubqueue.servers.tcp import TcpServer
from support.bunqueue import Bunqueue
from support.certificates import Certificates
from support.context import context_of

Kind = Literal["hubqueue", "bunqueue"]


@asynccontextmanager
async def serve(
    kind: Kind, folder: Path, *, token: str | None = None, files: Certificates | None = None
) -> AsyncIterator[LinkSettings]:
    """A running server with a file in this folder, and how to reach it."""
    tls = None if files is None else Tls(str(files.ca))
    if kind == "bunqueue":
        cert, key = (None, None) if files is None else (files.cert, files.key)
        async with Bunqueue(folder, tokens=token, cert=cert, key=key) as bunqueue:
            yield LinkSettings("127.0.0.1", bunqueue.port, token, tls)
        return
    certificate = None if files is None else TlsFiles(cert=files.cert, key=files.key)
    settings = TcpSettings(port=0, tls=certificate, drain_s=1.0)
    async with await LocalHub.open(folder / "central.db") as hub:
        server = TcpServer(context_of(hub, () if token is None else (token,)), settings)
        await server.start()
        try:
            yield LinkSettings("127.0.0.1", server.port, token, tls)
        finally:
            await server.close()


class Arrived(msgspec.Struct, frozen=True):
    """A job as the other side hands it out; data stays as it came."""

    id: str
    name: str
    priority: float
    attempts: float
    data: msgspec.Raw = msgspec.Raw()


class _Jobs(msgspec.Struct):
    jobs: list[Arrived]


async def ask(link: LinkSettings, cmd: str, **fields: object) -> dict[str, Any]:
    """One command over a connection of its own."""
    session = await Session.open(link)
    try:
        return cast("dict[str, Any]", msgspec.msgpack.decode(await session.request(cmd, fields)))
    finally:
        await session.close()


async def counts(link: LinkSettings, queue: str) -> dict[str, int]:
    """Jobs by state."""
    return cast("dict[str, int]", (await ask(link, "GetJobCounts", queue=queue))["counts"])


async def hand_out(link: LinkSettings, queue: str, count: int = 1000) -> list[Arrived]:
    """Take and complete up to so many jobs, in the order the queue gives them."""
    session = await Session.open(link)
    try:
        jobs: list[Arrived] = []
        while len(jobs) < count:
            fields = {"queue": queue, "count": min(1000, count - len(jobs)), "owner": "central"}
            reply = await session.request("PULLB", fields)
            batch = msgspec.msgpack.decode(reply, type=_Jobs).jobs
            if not batch:
                break
            tokens = msgspec.msgpack.decode(reply)["tokens"]
            await session.request("ACKB", {"ids": [job.id for job in batch], "tokens": tokens})
            jobs += batch
        return jobs
    finally:
        await session.close()
