"""Rule 5: long work comes in slices that are light, however heavy the jobs, and its count is the sum."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubqueue.client.local import LocalHub
from hubqueue.errors import DiskFull, HubqueueError
from hubqueue.hub.verbs import queues
from hubqueue.model.job import Dedup, NewJob, Options
from hubqueue.model.outcome import Reject, Settlement
from hubqueue.model.state import State
from hubqueue.store.slices import SLICE, SLICE_BYTES, light
from hubqueue.store.tx import Tx
from support.mixed import miscounted
from support.waiting import until

HEAVY = NewJob(data=b"\xc6\x00\x01\x86\xa0" + bytes(100_000))
JOBS = 60
LEAST_SLICES = JOBS * 100_000 // SLICE_BYTES


@given(st.lists(st.integers(0, 2 * SLICE_BYTES)))
def test_a_slice_is_the_first_rows_that_are_light_together_and_at_least_one(weights: list[int]) -> None:
    taken = light(weights, lambda weight: weight)
    assert taken == weights[: len(taken)]
    assert bool(taken) == bool(weights)
    assert len(taken) <= 1 or sum(taken) <= SLICE_BYTES
    assert len(taken) == len(weights) or sum(weights[: len(taken) + 1]) > SLICE_BYTES


async def _bury(hub: LocalHub) -> None:
    while leased := await hub.lease("q", 10, owner="w"):
        await hub.settle([Settlement(each.job.id, each.token, Reject("no")) for each in leased])


async def _clean(hub: LocalHub) -> int:
    return len(await hub.clean("q", 0, 1000, State.WAITING))


async def _retry(hub: LocalHub) -> int:
    return (await hub.retry_dead("q")).again


@pytest.mark.parametrize(
    ("dead", "deed"),
    [
        (False, lambda hub: hub.drain("q")),
        (False, _clean),
        (True, lambda hub: hub.purge("q")),
        (True, _retry),
    ],
    ids=["drain", "clean", "purge", "retry"],
)
async def test_work_on_heavy_jobs_is_cut_by_their_weight(
    tmp_path: Path, dead: bool, deed: Callable[[LocalHub], Awaitable[int]]
) -> None:
    async with await LocalHub.open(tmp_path / "hub.db") as hub:
        await hub.enqueue("q", [HEAVY] * JOBS)
        if dead:
            await _bury(hub)
        before = hub.store.groups
        assert await deed(hub) == JOBS
        assert hub.store.groups - before >= LEAST_SLICES
        assert await hub.run(miscounted) == []


async def test_rows_of_a_dropped_queue_its_keys_and_its_groups_go_in_slices(tmp_path: Path) -> None:
    many = SLICE * 2 + 1
    async with await LocalHub.open(tmp_path / "hub.db") as hub:
        await hub.enqueue("q", [NewJob(options=Options(dedup=Dedup(f"k{n}"))) for n in range(many)])
        await hub.enqueue("q", [NewJob(options=Options(group=f"g{n}")) for n in range(many)])
        await hub.enqueue("q", [HEAVY] * JOBS)
        before = hub.store.groups
        await hub.obliterate("q")
        assert (await hub.counts("q")).waiting == 0

        async def is_gone() -> bool:
            left = "SELECT (SELECT count(*) FROM job), (SELECT count(*) FROM dedup), (SELECT count(*) FROM job_group)"
            found: tuple[int, ...] = await hub.run(lambda tx: tx.execute(left).fetchone())
            return found == (0, 0, 0)

        await until(is_gone)
        assert hub.store.groups - before > LEAST_SLICES + 2 * many // SLICE


async def test_a_client_that_leaves_in_the_middle_leaves_counts_that_are_right(tmp_path: Path) -> None:
    async with await LocalHub.open(tmp_path / "hub.db") as hub:
        await hub.enqueue("q", [HEAVY] * JOBS)
        draining = asyncio.ensure_future(hub.drain("q"))
        groups = hub.store.groups
        while hub.store.groups == groups:  # noqa: ASYNC110 - one turn of the loop is all there is between two slices
            await asyncio.sleep(0)
        draining.cancel()
        with pytest.raises(asyncio.CancelledError):
            await draining
        left = (await hub.counts("q")).waiting
        assert await hub.run(miscounted) == []
        assert await hub.drain("q") == left


async def test_an_error_in_the_middle_says_how_far_it_came(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = queues.remove_slice, 0

    def failing(tx: Tx, queue: str, state: State, limit: int) -> int:
        nonlocal calls
        calls += 1
        if calls > 2:
            raise DiskFull()
        return real(tx, queue, state, limit)

    monkeypatch.setattr(queues, "remove_slice", failing)
    async with await LocalHub.open(tmp_path / "hub.db") as hub:
        await hub.enqueue("q", [NewJob()] * (2 * SLICE + 10))
        with pytest.raises(HubqueueError) as refused:
            await hub.drain("q")
        assert refused.value.message == "The disk is full; 1,000 jobs were done before, and stay so"
        assert refused.value.code == "disk_full"
        assert (await hub.counts("q")).waiting == 10
