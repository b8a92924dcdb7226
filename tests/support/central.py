"""Looking into the hub that jobs are forwarded to, over its own TCP door: a hubqueue or a bunqueue server alike."""

from __future__ import annotations

from typing import Any, cast

import msgspec

from hubqueue.client.address import LinkSettings
from hubqueue.client.session import Session


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
