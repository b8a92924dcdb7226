"""The lease keeper over a real hub, here and over TCP: what is held, renewed, settled, and taken back after a kill.

What its owners make of it is in test_lease_owners.py.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hubqueue.client.address import LinkSettings
from hubqueue.client.remote import RemoteHub
from hubqueue.errors import Busy, Forbidden, LockLost
from hubqueue.hub.hub import Hub
from hubqueue.hub.leasekeeper import LeaseKeeper
from hubqueue.model.job import Leased, NewJob, Options
from hubqueue.model.outcome import Complete, Outcome, Reject, Release, Settlement
from hubqueue.model.state import State
from hubqueue.model.verbs import Renewal, Verbs
from hubqueue.system import SYSTEM
from support.lease_owners import Heard
from support.proxy import Proxy, Uplink
from support.served import served
from support.waiting import soon, until

QUEUE = "work"
OWNER = "forward:work:tcp://central"


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[Hub]:
    async with await Hub.open(tmp_path / "edge.db") as hub:
        yield hub


class Told:
    """What a keeper tells its owner."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, Renewal]] = []

    def __call__(self, leased: Leased, renewal: Renewal) -> None:
        self.heard.append((leased.id, renewal))


def keeper_of(hub: Verbs, lease_ms: int = 30_000, told: Callable[[Leased, Renewal], None] | None = None) -> LeaseKeeper:
    return LeaseKeeper(hub, QUEUE, OWNER, lease_ms, SYSTEM, told or Told())


def ends(jobs: Sequence[Leased], outcome: Outcome) -> list[Settlement]:
    return [Settlement(leased.job.id, leased.token, outcome) for leased in jobs]


async def add(hub: Hub, count: int, **options: int) -> list[str]:
    return await hub.enqueue(QUEUE, [NewJob(options=Options(**options)) for _ in range(count)])  # type: ignore[arg-type]


async def test_what_is_taken_is_held_until_it_is_settled(hub: Hub) -> None:
    await add(hub, 3)
    keeper = keeper_of(hub)
    jobs = await keeper.take(10, 0)
    assert (len(jobs), keeper.count) == (3, 3)
    stored = await keeper.settle(ends(jobs, Complete()))
    assert [type(outcome) for outcome in stored] == [Complete] * 3
    assert keeper.count == 0
    assert (await hub.counts(QUEUE)).completed == 3


async def test_a_lease_that_is_gone_does_not_keep_the_others_from_their_end(hub: Hub) -> None:
    await add(hub, 5)
    keeper = keeper_of(hub)
    jobs = await keeper.take(5, 0)
    await hub.settle(ends(jobs[2:3], Release()))
    (taken,) = await hub.lease(QUEUE, 1, owner="somebody")
    stored = await keeper.settle(ends(jobs, Complete()))
    assert [outcome is None for outcome in stored] == [False, False, True, False, False]
    counts = await hub.counts(QUEUE)
    assert (counts.completed, counts.active) == (4, 1)
    assert (await hub.get(taken.job.id)).owner == "somebody"
    assert keeper.count == 0


async def test_few_that_are_gone_cost_few_settles(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    await add(hub, 1000)
    keeper, heard = keeper_of(hub), Heard(hub, monkeypatch)
    jobs = await keeper.take(1000, 0)
    await Hub.settle(hub, ends(jobs[500:501], Release()))
    asked = 0
    settle = hub.settle

    async def counted(*args: Sequence[Settlement]) -> list[str]:
        nonlocal asked
        asked += 1
        return await settle(*args)

    monkeypatch.setattr(hub, "settle", counted)
    await keeper.settle(ends(jobs, Complete()))
    assert (await hub.counts(QUEUE)).completed == 999
    assert asked < 25  # halves of halves
    assert len(heard.leased) == 1000


async def test_an_outcome_that_cannot_be_stored_rejects_its_job_alone(hub: Hub) -> None:
    await add(hub, 3)
    keeper = keeper_of(hub)
    first, odd, last = await keeper.take(3, 0)
    too_large = Complete(b"\xc6\x7f\xff\xff\xff" + b"x" * 20_000_000)
    stored = await keeper.settle([*ends([first], Complete()), *ends([odd], too_large), *ends([last], Complete())])
    assert [type(outcome) for outcome in stored] == [Complete, Reject, Complete]
    assert [(await hub.get(each.id)).state for each in (first, odd, last)] == [
        State.COMPLETED,
        State.FAILED,
        State.COMPLETED,
    ]


async def test_a_refusal_that_is_no_outcomes_fault_is_told_and_keeps_the_lease(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add(hub, 1)
    keeper, heard = keeper_of(hub), Heard(hub, monkeypatch)
    jobs = await keeper.take(1, 0)
    heard.trouble = [Forbidden()]
    with pytest.raises(Forbidden):
        await keeper.settle(ends(jobs, Complete()))
    assert keeper.count == 1
    await keeper.give_back()
    assert ((await hub.counts(QUEUE)).waiting, keeper.count) == (1, 0)


async def test_a_settle_is_asked_for_as_long_as_its_owner_wants(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    await add(hub, 1)
    keeper, heard = keeper_of(hub), Heard(hub, monkeypatch)
    jobs = await keeper.take(1, 0)
    heard.trouble = [Busy() for _ in range(5)]
    with pytest.raises(Busy):
        await soon(keeper.settle(ends(jobs, Complete()), as_long_as=lambda: len(heard.trouble) > 2))
    assert (len(heard.trouble), keeper.count) == (2, 1)


async def test_released_jobs_keep_their_place_and_count_nothing(hub: Hub) -> None:
    ids = await add(hub, 5)
    keeper = keeper_of(hub)
    await keeper.release(await keeper.take(3, 0))
    jobs = await keeper.take(5, 0)
    assert [leased.job.id for leased in jobs] == ids
    assert {leased.job.attempts for leased in jobs} == {0}


async def test_on_the_way_out_a_hub_that_does_not_answer_is_not_waited_for(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await add(hub, 1)
    keeper = keeper_of(hub)
    await keeper.take(1, 0)

    async def hangs(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(hub, "settle", hangs)
    monkeypatch.setattr("hubqueue.hub.leasekeeper.GIVE_BACK_S", 0.05)
    await soon(keeper.give_back())
    assert "not given back" in caplog.text


async def test_leases_of_a_killed_run_are_taken_back_in_their_place(tmp_path: Path) -> None:
    hub = await Hub.open(tmp_path / "edge.db")
    ids = await add(hub, 6)
    await keeper_of(hub).take(3, 0)
    await hub.close()
    async with await Hub.open(tmp_path / "edge.db") as again:
        keeper = keeper_of(again)
        assert await keeper.reclaim() == 3
        jobs = await keeper.take(6, 0)
        assert [leased.job.id for leased in jobs] == ids
        assert {(leased.job.attempts, leased.job.lost_count) for leased in jobs} == {(0, 0)}


async def test_leases_of_others_are_left_alone(hub: Hub) -> None:
    ids = await add(hub, 2)
    await hub.lease(QUEUE, 1, owner="somebody")
    keeper = keeper_of(hub)
    assert await keeper.reclaim() == 0
    assert [leased.job.id for leased in await keeper.take(2, 0)] == ids[1:]


async def test_more_leases_than_one_request_may_name_are_all_renewed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = Told()
    async with served(tmp_path / "hub.db") as there, RemoteHub(LinkSettings.from_url(there.url)) as remote:
        ids = await add(there.hub, 1500)
        heard, keeper = Heard(remote, monkeypatch), keeper_of(remote, 3000, told)
        keeper.start()
        while keeper.count < 1500:
            await keeper.take(1000, 0)
        await until(lambda: heard.renewals.keys() == set(ids))
        await soon(keeper.settle(ends(heard.leased, Complete())))
        await keeper.close()
        assert (await there.hub.counts(QUEUE)).completed == 1500
    assert {renewal for said in heard.renewals.values() for renewal in said} == {Renewal.RENEWED}
    assert told.heard == []


async def test_a_job_whose_worker_may_be_silent_for_less_than_a_lease_is_renewed_in_time(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add(hub, 1, stall_timeout_ms=3000)
    heard, keeper = Heard(hub, monkeypatch), keeper_of(hub)  # which would renew every 10 s
    keeper.start()
    (leased,) = await keeper.take(1, 0)
    await until(lambda: len(heard.renewals.get(leased.id, ())) >= 4)  # the last after its 3 s would have been over
    await keeper.close()
    assert set(heard.renewals[leased.id]) == {Renewal.RENEWED}
    job = await hub.get(leased.id)
    assert (job.state, job.stall_count) == (State.ACTIVE, 0)


async def test_a_lease_that_its_owner_makes_shorter_is_renewed_in_time(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add(hub, 1)
    heard, keeper = Heard(hub, monkeypatch), keeper_of(hub)
    keeper.start()
    (leased,) = await keeper.take(1, 0)
    await keeper.extend(leased, 3000)
    await until(lambda: len(heard.renewals[leased.id]) >= 5)
    await keeper.close()
    assert set(heard.renewals[leased.id]) == {Renewal.RENEWED}
    assert (await hub.get(leased.id)).stall_count == 0


async def test_one_that_is_renewed_often_leaves_the_others_their_time(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hub that takes longer to answer than there is between two renewals of the shortest lease."""
    ids = [*await add(hub, 1, stall_timeout_ms=900), *await add(hub, 1)]
    told, heard = Told(), Heard(hub, monkeypatch)
    keeper = keeper_of(hub, 3000, told)
    extend = hub.extend

    async def slow(*args: Any) -> list[Renewal]:
        renewals = await extend(*args)
        await asyncio.sleep(0.4)
        return renewals

    monkeypatch.setattr(hub, "extend", slow)
    keeper.start()
    _, other = await keeper.take(2, 0)
    await until(lambda: len(heard.renewals.get(ids[1], ())) >= 5)  # more of them than one lease is long
    assert (ids[1], Renewal.LOST) not in told.heard
    assert keeper.standing(other) is Renewal.RENEWED
    await keeper.close()


async def test_a_lease_that_is_gone_cannot_be_extended(hub: Hub) -> None:
    await add(hub, 2)
    told = Told()
    keeper = keeper_of(hub, told=told)
    first, second = await keeper.take(2, 0)
    await hub.settle(ends([first], Release(3600)))
    with pytest.raises(LockLost):
        await keeper.extend(first, 5000)
    assert told.heard == [(first.id, Renewal.LOST)]
    keeper.drop(second)
    with pytest.raises(LockLost):
        await keeper.extend(second, 5000)


async def test_while_the_hub_cannot_be_asked_a_lease_is_over_by_its_own_deadline(tmp_path: Path) -> None:
    told = Told()
    async with served(tmp_path / "hub.db") as there, Proxy(there.port) as proxy:
        link = replace(LinkSettings.from_url(f"tcp://127.0.0.1:{proxy.port}"), backoff_first_s=0.01, backoff_max_s=0.05)
        async with RemoteHub(link) as remote:
            (id,) = await add(there.hub, 1)
            keeper = keeper_of(remote, 3000, told)
            keeper.start()
            (leased,) = await keeper.take(1, 0)
            assert keeper.standing(leased) is Renewal.RENEWED
            await proxy.set(Uplink.SILENT)
            await until(lambda: told.heard != [])
            assert told.heard[0] == (id, Renewal.LOST)
            assert (keeper.standing(leased), keeper.holds(leased)) == (Renewal.LOST, True)
            await proxy.set(Uplink.PASS)  # it may have been good for the hub all the while
            proxy.cut()
            await soon(keeper.settle(ends([leased], Complete())))
            await keeper.close()
            assert keeper.count == 0


async def test_a_defect_of_whoever_is_told_does_not_end_the_renewing(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(leased: Leased, renewal: Renewal) -> None:
        raise ZeroDivisionError

    await add(hub, 2)
    heard, keeper = Heard(hub, monkeypatch), keeper_of(hub, 1000, breaks)
    keeper.start()
    gone, kept = await keeper.take(2, 0)
    await Hub.settle(hub, ends([gone], Release(3600)))
    await until(heard.said(gone.id, Renewal.LOST))
    assert (keeper.holds(gone), keeper.holds(kept)) == (False, True)
    count = len(heard.renewals[kept.id])
    await until(lambda: len(heard.renewals[kept.id]) > count)
    await keeper.close()
    assert set(heard.renewals[kept.id]) == {Renewal.RENEWED}
