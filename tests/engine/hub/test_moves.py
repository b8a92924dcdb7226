"""Every move of the table happens: the verbs are asked for each, and what they took from the table is noted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from itertools import count, product
from pathlib import Path
from typing import Any

import pytest

from hubqueue.client.local import LocalHub
from hubqueue.hub.settings import HubSettings
from hubqueue.hub.verbs import change, configure, expire, flowedits, overflow, rows
from hubqueue.hub.verbs.queues import bury_new
from hubqueue.hub.verbs.reroute import Rerouted
from hubqueue.model.bounds import QueueBounds
from hubqueue.model.job import Dedup, Job, Leased, NewJob, OnFailure, Options
from hubqueue.model.outcome import Complete, Fail, Outcome, Reject, Release, Retry
from hubqueue.model.retry import Backoff
from hubqueue.model.state import Move, State

from .conftest import Bench

Seen = set[tuple[Move, State | None, State | None]]

W, D, A, P, C, F = State
FAR_MS = 60_000

# taken from the table when the module of the statement is imported
IN_SQL: Seen = {
    (Move.ENQUEUE, None, W),
    (Move.LEASE, W, A),
    (Move.PROMOTE, D, W),
    (Move.COMPLETE, A, C),
    (Move.RELEASE, A, W),
}
# allowed, and never asked for here
LEFT_OUT: Seen = {
    *((Move.OBLITERATE, state, None) for state in State),  # the queue goes at once, its rows are deleted unread
    (Move.COME_BACK, W, D),  # only when the clock is set back while it waits there
    (Move.CHILD_FAILED, W, None),  # a parent that is deleted when it fails does not come back to be there
    (Move.CHILD_FAILED, D, None),
}


class Yard(Bench):
    """A bench with a queue for each job, so that it is the one that is leased."""

    def __init__(self, path: Path, settings: HubSettings) -> None:
        super().__init__(path, settings)
        self._numbers = count()

    async def job(self, state: State, **options: Any) -> Job:
        """A new job, brought to this state."""
        queue = f"q{next(self._numbers)}"
        new: dict[str, Any] = {"delay_ms": FAR_MS} if state is D else {}
        if state is P:
            options["depends_on"] = ((await self.job(W)).id,)
        (id,) = await self.add("n", queue=queue, options=Options(**options), **new)
        if state in (A, C, F):
            (leased,) = await self.take(queue=queue)
            if state is not A:
                await self.end(leased, Complete() if state is C else Reject("no", remove=False))
        job = await self.get(id)
        assert job.state is state
        return job

    async def leased(self, lease_ms: int = FAR_MS, max_attempts: int = 9, **options: Any) -> Leased:
        queue = f"q{next(self._numbers)}"
        await self.add("n", queue=queue, max_attempts=max_attempts, options=Options(**options))
        (leased,) = await self.take(queue=queue, lease_ms=lease_ms)
        return leased

    async def do(self, verb: Callable[..., object], *args: Any, **more: Any) -> None:
        await self.hub.run(lambda tx: verb(tx, *args, **more))


@pytest.fixture
def settings() -> HubSettings:
    return HubSettings(
        queues={"small": QueueBounds(max_jobs=1, on_full="drop-oldest", keep_completed=0, max_dead=1)},
        grace_s=0.2,
        sync_interval_s=0.1,
    )


@pytest.fixture
async def yard(tmp_path: Path, settings: HubSettings) -> Any:
    yard = Yard(tmp_path / "yard.db", settings)
    await yard.open()
    yield yard
    await yard.check_counters()
    await yard.hub.close()


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """What verbs took from the table since."""
    seen: Seen = set()
    to = Move.to

    def noted(self: Move, source: int | None, target: State | None) -> State | None:
        taken = to(self, source, target)
        seen.add((self, None if source is None else State(source), target))
        return taken

    monkeypatch.setattr(Move, "to", noted)
    return seen


async def come_in(yard: Yard) -> None:
    await yard.job(W, tags=("rare",))
    await yard.job(D)
    await yard.hub.run(lambda tx: bury_new(tx, "lost", [(NewJob(), "no_rule", None)]))


async def wait_for_others(yard: Yard) -> None:
    for state in (W, D):
        child = await yard.job(W)
        parent = await yard.job(state)
        await yard.do(flowedits.update_parent, child.id, parent.id)
        await yard.do(flowedits.remove_unprocessed_children, parent.id)
    leased = await yard.leased()
    await yard.do(flowedits.move_to_waiting_children, leased.job.id, leased.token)


async def end_runs(yard: Yard) -> None:
    await yard.end(await yard.leased(), Complete(remove=True))
    ways: list[Outcome] = [Retry(0), Fail(), Reject("no"), Reject("no", remove=True)]
    for outcome in ways:
        await yard.end(await yard.leased(), outcome)
    await yard.end(await yard.leased(), Release(60))
    for remove in (False, True):
        leased = await yard.leased(remove_on_fail=remove)
        await yard.hub.cancel(leased.job.id, active=True)
        await yard.end(leased, Release())


async def lapse(yard: Yard) -> None:
    jobs = [
        await yard.leased(lease_ms=10),
        await yard.leased(lease_ms=FAR_MS, timeout_ms=10, backoff=Backoff("fixed", FAR_MS)),
        await yard.leased(lease_ms=10, max_attempts=1),
        await yard.leased(lease_ms=10, max_attempts=1, remove_on_fail=True),
    ]
    await yard.later(1000)
    await yard.until(lambda: all(yard.hub.store.queues.find(each.job.queue).n[A] == 0 for each in jobs))  # type: ignore[union-attr]


async def run_out_of_time(yard: Yard) -> None:
    for state, remove in product((W, D, P), (False, True)):
        await yard.job(state, keep_trying_ms=FAR_MS + 1, remove_on_fail=remove)
    for state in (W, D):
        await yard.job(state, ttl_ms=1000)
    handed = [await yard.job(W, keep_trying_ms=FAR_MS + 1, remove_on_fail=remove) for remove in (False, True)]
    yard.clock.at_ms += 2 * FAR_MS
    for job in handed:
        assert await yard.take(queue=job.queue) == []
    await yard.do(expire.end_due, 100)


async def lose_children(yard: Yard) -> None:
    for remove in (False, True):
        parent, queue = await _parent(yard, remove)
        await _fail(yard, queue)
        if remove:
            continue
        for delay_ms in (None, FAR_MS):
            await yard.hub.retry(parent)
            if delay_ms is not None:
                await yard.hub.change_delay(parent, delay_ms)
            await yard.hub.retry_dead(queue)
            await _fail(yard, queue)


async def _parent(yard: Yard, remove: bool) -> tuple[str, str]:
    child = await yard.job(W, on_failure=OnFailure.FAIL)
    parent = await yard.job(W, remove_on_fail=remove)
    await yard.do(flowedits.update_parent, child.id, parent.id)
    return parent.id, child.queue


async def _fail(yard: Yard, queue: str) -> None:
    (leased,) = await yard.take(queue=queue)
    await yard.end(leased, Reject("no"))


async def change_from_outside(yard: Yard) -> None:
    for state, remove in product((W, D, A), (False, True)):
        job = await yard.job(state, remove_on_fail=remove)
        await yard.do(_without_token, change.discard, job.id)
    for state in (W, D, P):
        await yard.hub.cancel((await yard.job(state)).id)
    for state, delay_ms in product((W, D, A), (0, FAR_MS)):
        await yard.do(_without_token, change.change_delay, (await yard.job(state)).id, delay_ms)
    for state, delay_ms in product((W, D), (0, FAR_MS)):
        await yard.hub.snooze((await yard.job(state)).id, delay_ms=delay_ms)
    for state in (C, F):
        await yard.hub.retry((await yard.job(state)).id)
    await yard.hub.promote((await yard.job(D)).id)
    for state in (W, D, C, F):
        job = await yard.job(state)
        await yard.hub.clean(job.queue, 0, state=state)


def _without_token(tx: Any, verb: Callable[..., object], id: str, *args: object) -> None:
    """As the owner would: with the token of the lease that there is."""
    job = rows.find(tx, id)[0]
    verb(tx, id, *args, tx.identity.token(job.seq, job.lease_no) if job.state is A else None)


async def retry_by_itself(yard: Yard) -> None:
    leased = await yard.leased(max_attempts=1)
    queue = leased.job.queue
    await yard.do(configure.set_dlq_config, queue, {"autoRetry": True, "autoRetryInterval": 1000})
    await yard.end(leased, Fail())
    await yard.later(2000)
    await yard.until(lambda: yard.hub.store.queues.find(queue).n[W] == 1)  # type: ignore[union-attr]


async def make_way(yard: Yard) -> None:
    for state in (W, D, P):
        job = await yard.job(state, dedup=Dedup("k"))
        await yard.add("next", queue=job.queue, options=Options(dedup=Dedup("k", replace=True)))
    for outcome in (Complete(), Reject("no")):
        await yard.add("n", queue="once", custom_id="once")
        (leased,) = await yard.take(queue="once")
        await yard.end(leased, outcome)
    await yard.add("n", queue="once", custom_id="once")
    for delay_ms in (0, FAR_MS, 0):
        await yard.add("n", queue="small", delay_ms=delay_ms)
    for outcome in (Complete(), Reject("no"), Reject("no")):
        await yard.add("n", queue="small")
        (leased,) = await yard.take(queue="small")
        await yard.end(leased, outcome)
    await yard.hub.maintenance._retain()


async def come_back(yard: Yard) -> None:
    keyed = Options(dedup=Dedup("k"))
    for queue, delay_ms in (("soon", 0), ("late", FAR_MS)):
        await yard.add("n", queue=queue, options=keyed)
        await yard.do(overflow.park, queue, NewJob(delay_ms=delay_ms, options=keyed))
        await yard.do(overflow.give_back_to, queue, 1)
        await yard.do(overflow.park, queue, NewJob(delay_ms=delay_ms))
        await yard.do(overflow.give_back_to, queue, 1)
    await yard.do(overflow.park, "late", NewJob(delay_ms=1000))
    yard.clock.at_ms += 2000
    await yard.do(overflow.give_back_to, "late", 1)


class LeavesOut:
    """A router whose rules leave every message out."""

    def reroute(self, job: Job) -> Rerouted:
        return Rerouted()


async def test_every_move_of_the_table_happens_and_only_those(yard: Yard, seen: Seen, tmp_path: Path) -> None:
    for part in PARTS:
        await part(yard)
    async with await LocalHub.open(tmp_path / "routed.db", router=LeavesOut()) as hub:
        (id,) = await hub.run(lambda tx: bury_new(tx, "_unroutable", [(NewJob(), "no_rule", None)]))
        await hub.retry(id)
    table = {(move, source, target) for move in Move for source in move.sources for target in move.targets}
    assert table - seen - IN_SQL == LEFT_OUT
    assert seen <= table


PARTS: tuple[Callable[[Yard], Awaitable[None]], ...] = (
    come_in,
    wait_for_others,
    end_runs,
    lapse,
    run_out_of_time,
    lose_children,
    change_from_outside,
    retry_by_itself,
    make_way,
    come_back,
)
