"""Jobs taken together: completed when the block ends, given back when it raises; near and far alike."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

import hubqueue
from hubqueue.api.access import Access
from hubqueue.errors import Invalid, LinkDown
from hubqueue.model.outcome import Release, Settlement
from hubqueue.model.verbs import Counts, Renewal
from support.lease_owners import Heard
from support.proxy import Proxy, Uplink
from support.served import served
from support.waiting import in_time, soon, until


async def counts(hub: Access) -> Counts:
    return await hub.queue("readings").counts()


async def fill(hub: Access, count: int) -> list[str]:
    return [job.id for job in await hub.queue("readings").add_many([("n", number) for number in range(count)])]


async def test_a_batch_is_completed_when_its_block_ends(hub: Access) -> None:
    ids = await fill(hub, 5)
    async with hub.queue("readings").take(3) as batch:
        assert [(job.id, job.data) for job in batch] == [(ids[n], n) for n in range(3)]
        assert len(batch) == (await counts(hub)).active == 3
    assert ((await counts(hub)).completed, (await counts(hub)).waiting) == (3, 2)


async def test_a_batch_whose_block_raises_is_given_back_and_nothing_is_counted(hub: Access) -> None:
    ids = await fill(hub, 3)
    with pytest.raises(ZeroDivisionError):
        async with hub.queue("readings").take():
            raise ZeroDivisionError
    async with hub.queue("readings").take() as batch:
        assert [(job.id, job.attempts_made, job.job.lost_count) for job in batch] == [(id, 0, 0) for id in ids]


async def test_jobs_of_a_batch_may_end_otherwise(hub: Access) -> None:
    await fill(hub, 3)
    async with hub.queue("readings").take() as batch:
        bad, later, _ = batch
        batch.reject(bad, "not a map")
        batch.release(later, after=3600)
    found = await counts(hub)
    assert (found.failed, found.delayed, found.completed) == (1, 1, 1)
    assert (await hub.job(bad.id).get()).error == "not a map"


async def test_no_jobs_are_an_empty_batch(hub: Access) -> None:
    async with hub.queue("readings").take(10, wait=0) as batch:
        assert (len(batch), list(batch)) == (0, [])


async def test_a_batch_waits_for_the_first_job(hub: Access) -> None:
    async def taken() -> list[int]:
        async with hub.queue("readings").take(10, wait=60) as batch:
            return [job.data for job in batch]

    waiting = asyncio.create_task(taken())
    await asyncio.sleep(0)
    await fill(hub, 1)
    async with in_time():
        assert await waiting == [0]


async def test_a_lease_that_is_gone_does_not_hold_back_the_others(hub: Access) -> None:
    await fill(hub, 3)
    async with hub.queue("readings").take() as batch:
        gone = batch._leased[1]
        await hub.verbs.settle([Settlement(gone.job.id, gone.token, Release(3600))])
    found = await counts(hub)
    assert (found.completed, found.delayed) == (2, 1)


async def test_leases_are_renewed_while_the_block_runs(hub: Access, monkeypatch: pytest.MonkeyPatch) -> None:
    await fill(hub, 2)
    extend, renewed = hub.verbs.extend, list[list[Renewal]]()

    async def told(leases: Sequence[tuple[str, str]], lease_ms: int | None = None) -> list[Renewal]:
        renewed.append(await extend(leases, lease_ms))
        return renewed[-1]

    monkeypatch.setattr(hub.verbs, "extend", told)
    async with hub.queue("readings").take(lease=2) as batch:
        await until(lambda: len(renewed) >= 2)
    assert renewed[:2] == [[Renewal.RENEWED] * len(batch)] * 2


@pytest.mark.parametrize("wrong", [{"count": 0}, {"count": 1001}, {"wait": 61}, {"lease": 0.5}])
async def test_a_batch_that_cannot_be_is_refused(hub: Access, wrong: dict[str, float]) -> None:
    with pytest.raises(Invalid):
        hub.queue("readings").take(**wrong)  # type: ignore[arg-type]


async def test_a_batch_tells_what_was_lost_or_cancelled_and_leaves_it_out(
    hub: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = await fill(hub, 5)
    heard = Heard(hub.verbs, monkeypatch)
    seen = []
    async with hub.queue("readings").take(lease=1) as batch:
        for job in batch:
            seen.append(job.id)
            if len(seen) == 1:
                gone = heard.leased[1]
                await hub.verbs.settle([Settlement(gone.job.id, gone.token, Release(3600))])
                await hub.verbs.cancel(ids[3], active=True)
                await until(heard.said(ids[1], Renewal.LOST))
                await until(heard.said(ids[3], Renewal.CANCELLED))
        assert [job.id for job in batch.lost] == [ids[1], ids[3]]
    assert seen == [ids[0], ids[2], ids[4]]
    assert [job.id for job in batch.lost] == [ids[1], ids[3]]
    found = await counts(hub)
    assert (found.completed, found.delayed, found.failed) == (3, 1, 1)
    assert (await hub.job(ids[3]).get()).reason == "cancelled"


async def test_a_batch_whose_hub_is_gone_for_good_says_so(tmp_path: Path) -> None:
    """And not before its leases are over: until then it is asked again."""
    async with (
        served(tmp_path / "hub.db") as there,
        Proxy(there.port) as proxy,
        hubqueue.Client(f"tcp://127.0.0.1:{proxy.port}", timeout=1) as client,
    ):
        await fill(client, 2)
        batch = client.queue("readings").take(lease=2)

        async def work() -> None:
            async with batch:
                await proxy.set(Uplink.REFUSE)
                proxy.cut()

        with pytest.raises(LinkDown):
            await soon(work())
        assert len(batch.lost) == 2
