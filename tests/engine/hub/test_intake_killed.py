"""Kills at any moment: what waits in `_overflow` or is routed again from `_unroutable` is neither lost nor doubled."""

from __future__ import annotations

import random
from itertools import pairwise
from pathlib import Path

import msgspec

from hubqueue.client.local import LocalHub
from hubqueue.hub.verbs.ingest import UNROUTABLE
from hubqueue.hub.verbs.overflow import OVERFLOW
from hubqueue.model.state import State
from support.child import Child
from support.intake_process import QUEUE, next_number, opened, work
from support.torture import sized
from support.waiting import in_time

LIVES = sized(ci=4, full=60)


async def test_kills_lose_and_double_nothing_that_had_no_room_or_no_rule(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    chance = random.Random(11)
    for _ in range(LIVES):
        async with Child("support.intake_process", path) as child:
            for _ in range(chance.randrange(3, 25)):
                await child.hear()
    async with await opened(path) as hub, in_time():
        sent = await next_number(hub)
        assert (await hub.counts(OVERFLOW)).waiting > 100
        # those whose worker was killed come back last, as they do from any queue
        order = await _worked_off(hub)
        assert not (await hub.retry_dead(UNROUTABLE)).kept
        await _worked_off(hub)
        seen = await _numbers(hub)
        assert len(seen) == sent  # none twice
        assert sorted(seen) == list(range(sent))
        plain = [number for number in order if number % 10]
        assert sum(later < earlier for earlier, later in pairwise(plain)) <= LIVES


async def _worked_off(hub: LocalHub) -> list[int]:
    order: list[int] = []
    while (await hub.counts(OVERFLOW)).waiting or (await hub.counts(QUEUE)).waiting or (await hub.counts(QUEUE)).active:
        order += await work(hub, 5)
    return order


async def _numbers(hub: LocalHub) -> list[int]:
    """Of every job that there is."""
    found: list[int] = []
    cursor: int | None = None
    while True:
        page = await hub.list_jobs(QUEUE, [State.COMPLETED], limit=1000, cursor=cursor)
        found += [msgspec.msgpack.decode(job.data or b"") for job in page.jobs]
        cursor = page.cursor
        if cursor is None:
            return found
