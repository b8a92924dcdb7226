"""All that lease jobs keep their leases alike: worker, pipeline, forwarder and `take()`, on a hub here and over TCP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hubqueue.client.address import LinkSettings
from hubqueue.client.local import LocalHub
from hubqueue.client.remote import RemoteHub
from hubqueue.errors import Busy, StoreError
from hubqueue.hub.settings import HubSettings
from hubqueue.model.job import Job, NewJob
from hubqueue.model.outcome import Release, Settlement
from hubqueue.model.state import State
from hubqueue.model.verbs import Renewal
from support.lease_owners import OWNERS, QUEUE, Heard, LeaseOwner, UnderWay
from support.proxy import Proxy
from support.served import served
from support.waiting import until

SHORT_MS = 1000  # the shortest lease there is
LONG_MS = 30_000  # renewed every 10 s


@pytest.fixture(params=OWNERS.keys())
def owner(request: pytest.FixtureRequest) -> LeaseOwner:
    return OWNERS[request.param]


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[LocalHub]:
    async with await LocalHub.open(tmp_path / "hub.db") as hub:
        yield hub


async def add(hub: LocalHub, count: int) -> list[str]:
    """Jobs whose first failure, whatever it is, is their last."""
    return await hub.enqueue(QUEUE, [NewJob(max_attempts=1) for _ in range(count)])


async def jobs(hub: LocalHub, *states: State) -> list[Job]:
    return (await hub.list_jobs(QUEUE, states, limit=100)).jobs


def ended(hub: LocalHub, count: int) -> Callable[[], Any]:
    """Whether so many jobs have come to an end, good or bad."""

    async def all_ended() -> bool:
        counts = await hub.counts(QUEUE)
        return counts.completed + counts.failed == count

    return all_ended


async def test_a_hub_in_trouble_at_the_end_of_a_job_is_asked_again(
    hub: LocalHub, owner: LeaseOwner, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard, under_way = Heard(hub, monkeypatch), UnderWay()
    await add(hub, 3)
    async with owner(hub, under_way, SHORT_MS):
        await until(lambda: under_way.begun == 3)
        heard.trouble = [Busy(), StoreError()]
        under_way.go.set()
        await until(ended(hub, 3))
    assert [(job.state, job.stall_count) for job in await jobs(hub)] == [(State.COMPLETED, 0)] * 3


async def test_a_hub_in_trouble_for_longer_than_a_lease_loses_nothing(
    hub: LocalHub, owner: LeaseOwner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It renews meanwhile: only what ends jobs is refused."""
    heard, under_way = Heard(hub, monkeypatch), UnderWay()
    ids = await add(hub, 3)
    async with owner(hub, under_way, SHORT_MS):
        await until(lambda: under_way.begun == 3)
        heard.trouble = [Busy() for _ in range(1000)]
        before = len(heard.renewals.get(ids[0], ()))
        under_way.go.set()
        await until(lambda: len(heard.renewals.get(ids[0], ())) >= before + 4)
        heard.trouble.clear()
        await until(ended(hub, 3))
    assert [(job.state, job.stall_count) for job in await jobs(hub)] == [(State.COMPLETED, 0)] * 3


async def test_what_a_renewal_calls_lost_is_not_worked_on_to_its_end(
    hub: LocalHub, owner: LeaseOwner, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard, under_way = Heard(hub, monkeypatch), UnderWay()
    await add(hub, 3)
    async with owner(hub, under_way, SHORT_MS):
        await until(lambda: under_way.begun == 3)
        gone = heard.leased[1]
        await LocalHub.settle(hub, [Settlement(gone.job.id, gone.token, Release(3600))])
        await until(heard.said(gone.job.id, Renewal.LOST))
        under_way.go.set()
        await until(ended(hub, 2))
    assert (await hub.get(gone.job.id)).state is State.DELAYED
    assert gone.job.id not in [id for id, _ in heard.settled]
    assert heard.renewals[gone.job.id][-2:] != [Renewal.LOST] * 2  # nor asked for again


async def test_what_a_renewal_calls_cancelled_is_given_back_for_the_hub_to_end(
    hub: LocalHub, owner: LeaseOwner, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard, under_way = Heard(hub, monkeypatch), UnderWay()
    _, cancelled, _ = await add(hub, 3)
    async with owner(hub, under_way, SHORT_MS):
        await until(lambda: under_way.begun == 3)
        await hub.cancel(cancelled, active=True)
        await until(heard.said(cancelled, Renewal.CANCELLED))
        under_way.go.set()
        await until(ended(hub, 3))
    job = await hub.get(cancelled)
    if owner is OWNERS["forwarder"]:  # it had left before: that it arrived is the truth
        assert job.state is State.COMPLETED
    else:
        assert (job.state, job.history.reason) == (State.FAILED, "cancelled")
    assert (await hub.counts(QUEUE)).failed == (job.state is State.FAILED)


async def test_a_stop_gives_back_what_is_under_way_and_nothing_is_counted(
    hub: LocalHub, owner: LeaseOwner, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard, under_way = Heard(hub, monkeypatch), UnderWay()
    await add(hub, 3)
    async with owner(hub, under_way, LONG_MS):
        await until(lambda: under_way.begun == 3)
        heard.trouble = [StoreError(), Busy()]
    counted = [(job.state, job.attempts, job.lost_count, job.stall_count) for job in await jobs(hub)]
    assert counted == [(State.WAITING, 0, 0, 0)] * 3


async def test_a_link_that_breaks_and_comes_back_costs_no_lease(
    owner: LeaseOwner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hub gives a lease back soon after its connection broke, long before the next renewal is due."""
    settings = HubSettings(grace_s=3.0)
    async with served(tmp_path / "hub.db", settings=settings) as there, Proxy(there.port) as proxy:
        link = replace(LinkSettings.from_url(f"tcp://127.0.0.1:{proxy.port}"), backoff_first_s=0.01, backoff_max_s=0.05)
        ids = await add(there.hub, 3)
        async with RemoteHub(link) as remote:
            heard, under_way = Heard(remote, monkeypatch), UnderWay()
            async with owner(remote, under_way, LONG_MS):
                await until(lambda: under_way.begun == 3)
                proxy.cut()
                await until(lambda: all(id in heard.renewals for id in ids))
                assert heard.renewals == {id: [Renewal.RENEWED] for id in ids}
                under_way.go.set()
                await until(ended(there.hub, 3))
        found = [(job.state, job.lost_count) for job in await jobs(there.hub)]
    assert found == [(State.COMPLETED, 0)] * 3
