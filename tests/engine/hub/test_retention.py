"""Upkeep remembers when a queue's oldest finished job is to be looked at again, and misses none by that."""

from __future__ import annotations

from pathlib import Path

import pytest

from hubqueue.hub import maintenance
from hubqueue.hub.hub import Hub
from hubqueue.hub.settings import HubSettings
from hubqueue.hub.verbs import configure
from hubqueue.model.bounds import QueueBounds
from hubqueue.model.job import NewJob
from hubqueue.model.outcome import Complete, Outcome, Reject, Settlement
from support.waiting import until


@pytest.fixture(autouse=True)
def _quick_maintenance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "RETENTION_BEATS", 1)
    monkeypatch.setattr(maintenance, "BEAT_S", 0.02)


async def _end(hub: Hub, outcome: Outcome, queue: str = "q") -> None:
    await hub.enqueue(queue, [NewJob()])
    (leased,) = await hub.lease(queue, owner="w")
    await hub.settle([Settlement(leased.job.id, leased.token, outcome)])


async def _kept(hub: Hub, queue: str = "q") -> tuple[int, int]:
    counts = await hub.counts(queue)
    return counts.completed, counts.failed


async def test_jobs_that_finish_after_a_look_go_in_time_too(tmp_path: Path) -> None:
    settings = HubSettings(bounds=QueueBounds(keep_completed_ms=300))
    async with await Hub.open(tmp_path / "hub.db", settings) as hub:
        await _end(hub, Reject("no"))  # so that the queue is looked at while nothing has completed
        beats = hub.store.groups
        await until(lambda: hub.store.groups > beats + 10)
        for _ in range(3):
            await _end(hub, Complete())
            assert await _kept(hub) == (1, 1)

            async def is_gone() -> bool:
                return await _kept(hub) == (0, 1)

            await until(is_gone)


async def test_a_shorter_age_holds_at_once(tmp_path: Path) -> None:
    async with await Hub.open(tmp_path / "hub.db", HubSettings(bounds=QueueBounds(keep_dead_ms=3_600_000))) as hub:
        await _end(hub, Reject("no"))
        beats = hub.store.groups
        await until(lambda: hub.store.groups > beats + 10)
        assert await _kept(hub) == (0, 1)
        await hub.run(lambda tx: configure.set_dlq_config(tx, "q", {"maxAge": 1}))

        async def is_gone() -> bool:
            return await _kept(hub) == (0, 0)

        await until(is_gone)


async def test_a_queue_with_nothing_to_delete_costs_no_transaction(tmp_path: Path) -> None:
    async with await Hub.open(tmp_path / "hub.db") as hub:
        for n in range(30):
            await _end(hub, Complete(), f"q{n}")
        begun = hub.store.groups
        await until(lambda: hub.store.groups > begun + 100)  # every queue has been looked at once
        looked = []
        slice_of = hub.maintenance._retain_slice
        hub.maintenance._retain_slice = lambda tx, row, ageing: looked.append(row) or slice_of(tx, row, ageing)  # type: ignore[method-assign,func-returns-value]
        begun = hub.store.groups
        await until(lambda: hub.store.groups > begun + 20)
        assert looked == []
