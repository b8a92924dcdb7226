"""The floor of a queue over a real hub: below it nothing has to be sent any more."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hubqueue.client.local import LocalHub
from hubqueue.forward.horizon import Horizon
from hubqueue.model.job import NewJob
from hubqueue.model.outcome import Complete, Reject, Settlement
from hubqueue.model.state import State
from hubqueue.system import SYSTEM

QUEUE = "readings"


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[LocalHub]:
    async with await LocalHub.open(tmp_path / "edge.db") as hub:
        yield hub


async def add(hub: LocalHub, count: int) -> list[str]:
    return await hub.enqueue(QUEUE, [NewJob() for _ in range(count)])


async def floor(hub: LocalHub) -> int | None:
    return await Horizon(hub, QUEUE, SYSTEM).floor()


async def test_it_is_below_everything_that_may_still_be_sent(hub: LocalHub) -> None:
    assert await floor(hub) is None
    await add(hub, 4)
    dead, done, held = await hub.lease(QUEUE, 3, owner="forwarder")
    ends = (Settlement(dead.id, dead.token, Reject("too large")), Settlement(done.id, done.token, Complete()))
    await hub.settle(ends)
    assert await floor(hub) == dead.job.seq
    await hub.purge(QUEUE)
    assert await floor(hub) == held.job.seq


async def test_it_waits_for_a_delayed_job(hub: LocalHub) -> None:
    (delayed,) = await hub.enqueue(QUEUE, [NewJob(delay_ms=60_000)])
    await add(hub, 3)
    assert await floor(hub) == (await hub.get(delayed)).seq


async def test_a_job_of_higher_priority_does_not_raise_it(hub: LocalHub) -> None:
    (low,) = await hub.enqueue(QUEUE, [NewJob(priority=-5)])
    await hub.enqueue(QUEUE, [NewJob(priority=9)])
    page = await hub.list_jobs(QUEUE, [State.WAITING], limit=1)
    assert page.jobs[0].id == low
    assert await floor(hub) == page.jobs[0].seq
