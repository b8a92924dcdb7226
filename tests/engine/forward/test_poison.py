"""Poison among good jobs, whatever it does to the link; and links that are broken, which burn no job (P5).

The sink is this test's own, so that it breaks exactly as told; test_behaviour has the real ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubqueue.client.local import LocalHub
from hubqueue.errors import Invalid, StoreError
from hubqueue.forward.breaker import LinkState
from hubqueue.forward.forwarder import Forwarder
from hubqueue.forward.settings import ForwardSettings
from hubqueue.forward.sink import Batch
from hubqueue.forward.status import Event, LinkChanged, Refused
from hubqueue.forward.suspects import Step, Suspects
from hubqueue.forward.verdict import Down, Reason, Rejected
from hubqueue.model.job import NewJob, Options, attempts_of
from hubqueue.model.outcome import Complete, Settlement
from hubqueue.model.state import State
from hubqueue.system import SYSTEM, System
from support.breaking import BREAKS, Breaking
from support.clock import HeldClock
from support.waiting import until

QUEUE = "readings"
CAP = 5


class Run:
    """A forwarder to such a sink, and what it told."""

    def __init__(self, hub: LocalHub, sink: Breaking, system: System = SYSTEM, **keys: int) -> None:
        tuning = ForwardSettings(backoff_s=0.001, backoff_cap_s=0.01, unknown_cap=CAP, **keys)
        self.hub = hub
        self.forwarder = Forwarder(hub, QUEUE, sink, tuning, hub_id_of=hub.hub_id_of, system=system)
        self.events: list[Event] = []
        self.forwarder.listen(self.events.append)

    @property
    def refused(self) -> list[Refused]:
        return [event for event in self.events if isinstance(event, Refused)]

    async def through(self) -> None:
        async def over() -> bool:
            counts = await self.hub.counts(QUEUE)
            return not counts.waiting + counts.active

        await until(over)


@asynccontextmanager
async def hub_with(count: int) -> AsyncIterator[LocalHub]:
    with TemporaryDirectory() as folder:
        async with await LocalHub.open(Path(folder) / "edge.db") as hub:
            if count:
                await add(hub, *range(count))
            yield hub


async def add(hub: LocalHub, *numbers: int) -> list[str]:
    return await hub.enqueue(QUEUE, [NewJob(data=msgspec.msgpack.encode(number)) for number in numbers])


@settings(max_examples=25)
@given(
    count=st.integers(2, 14),
    poison=st.sets(st.integers(0, 13), max_size=6),
    how=st.sampled_from(sorted(BREAKS)),
    one_by_one=st.booleans(),
    batch=st.sampled_from([1, 2, 5, 100]),
    concurrency=st.sampled_from([1, 3]),
)
async def test_good_jobs_pass_in_order_and_poison_is_given_up_alone(
    count: int, poison: set[int], how: str, one_by_one: bool, batch: int, concurrency: int
) -> None:
    poison = {number for number in poison if number < count - 1}  # the last is good, and shows that the link is well
    sink = Breaking(poison, how, one_by_one=one_by_one)
    async with hub_with(count) as hub:
        run = Run(hub, sink, batch=batch, concurrency=concurrency)
        async with run.forwarder:
            await run.through()
        counts = await hub.counts(QUEUE)
        dead = await hub.list_jobs(QUEUE, (State.FAILED,))
        done = await hub.list_jobs(QUEUE, (State.COMPLETED,))
    good = [number for number in range(count) if number not in poison]
    assert sorted(sink.taken) == good
    if concurrency == 1:
        assert sink.taken == good
    assert (counts.completed, counts.failed) == (len(good), len(poison))
    assert {msgspec.msgpack.decode(job.data or b"") for job in dead.jobs} == poison
    assert all(job.id in str(job.history.error) or one_by_one for job in dead.jobs)
    assert not any("tried again by itself" in str(job.history.error) for job in dead.jobs)  # of a link that is so
    assert {job.attempts for job in done.jobs} <= {0}
    for number in poison:
        alone = sum(tried == [number] for tried in sink.tries)
        assert alone <= 3 * CAP


@pytest.mark.parametrize("how", BREAKS)
async def test_p5_a_link_that_answers_and_takes_nothing_burns_no_job(how: str) -> None:
    sink = Breaking((), how)
    sink.closed = True
    async with hub_with(20) as hub:
        run = Run(hub, sink, batch=10)
        async with run.forwarder:
            await until(lambda: len(sink.tries) >= 150)
            assert run.refused == []
            sink.closed = False
            await run.through()
            status = await run.forwarder.status()
        assert (await hub.counts(QUEUE)).completed == 20
    assert sorted(sink.taken) == list(range(20))
    assert (status.link, status.alert) == (LinkState.UP, False)


async def test_a_link_that_breaks_by_chance_keeps_the_order() -> None:
    """Each job is broken off twice, which happens; none of them is set aside for it."""
    sink = Breaking((), "hangs up")
    broken: dict[int, int] = {}
    write = sink.write

    async def by_chance(batch: Batch) -> list[Rejected | None]:
        first = msgspec.msgpack.decode(batch.parcels[0].data or b"")
        broken[first] = broken.get(first, 0) + 1
        if broken[first] <= 2:
            raise ConnectionResetError("reset by peer")
        return await write(batch)

    sink.write = by_chance  # type: ignore[method-assign]
    async with hub_with(30) as hub:
        run = Run(hub, sink, batch=4)
        async with run.forwarder:
            await run.through()
    assert sink.taken == list(range(30))
    assert run.refused == []


async def test_the_only_job_is_given_up_by_answers_alone_and_a_few_at_most() -> None:
    sink = Breaking(range(10), "hangs up")
    async with hub_with(1) as hub:
        run = Run(hub, sink)
        async with run.forwarder:
            for number in range(1, 4):
                await run.through()
                await add(hub, number)
            await until(lambda: sink.tries.count([3]) > 2 * CAP)
            assert len(run.refused) == 3
            await add(hub, 99)  # it passes, so it was the job
            await run.through()
    assert len(run.refused) == 4
    assert sink.taken == [99]


async def test_p5_the_only_job_is_not_given_up_for_silence_until_another_passes() -> None:
    """A disk that hangs there looks the same, and the connection is well."""
    sink = Breaking({0, 1}, "is silent")
    async with hub_with(2) as hub:
        run = Run(hub, sink)
        async with run.forwarder:
            await until(lambda: sink.tries.count([0]) > 4 * CAP and sink.tries.count([1]) > 4 * CAP)
            assert run.refused == []
            sink.poison.discard(0)  # it was the other side after all
            await until(lambda: sink.taken == [0])
            await add(hub, 2, 3, 4, 5)  # and the other is what it seemed to be
            await until(lambda: len(sink.taken) == 5)
            for number in range(10, 10 + 2 * CAP):
                await add(hub, number)
                await until(lambda: number in sink.taken)  # noqa: B023
            await run.through()
    assert len(run.refused) == 1


async def test_what_is_set_aside_raises_an_alert_that_names_it_and_others_go_on() -> None:
    sink = Breaking({0}, "hangs up")
    async with hub_with(0) as hub:
        run = Run(hub, sink)
        run.forwarder._suspects._cap = 1_000_000  # it is never given up
        (odd,) = await add(hub, 0)
        async with run.forwarder:
            for number in range(1, 15):
                await add(hub, number)
                await until(lambda: number in sink.taken)  # noqa: B023
            status = await run.forwarder.status()
            assert (status.alert, status.in_flight) == (True, 1)
            assert odd in str(status.error)
            assert "reset by peer" in str(status.error)
        assert any(isinstance(event, LinkChanged) and event.down and event.down.job == odd for event in run.events)
        counts = await hub.counts(QUEUE)  # a stop gives it back
        assert (counts.waiting, counts.active, counts.failed) == (1, 0, 0)


@pytest.mark.parametrize("how", ["cancelled", "removed"])
async def test_what_is_set_aside_ends_when_somebody_ends_it(how: str) -> None:
    sink = Breaking({0}, "hangs up")
    async with hub_with(0) as hub:
        run = Run(hub, sink)
        run.forwarder._suspects._cap = 1_000_000
        odd, *_ = await add(hub, *range(3))
        async with run.forwarder:
            await until(lambda: sink.taken == [1, 2])
            if how == "cancelled":
                await hub.cancel(odd, active=True)
            else:
                await hub.obliterate(QUEUE)

            async def quiet() -> bool:
                status = await run.forwarder.status()
                return not status.alert and not status.in_flight

            await until(quiet)
            await add(hub, 5)
            await until(lambda: sink.taken[-1] == 5)
        if how == "cancelled":
            assert (await hub.get(odd)).history.reason == "cancelled"


@pytest.mark.parametrize("how", ["hangs up", "is silent"])
async def test_what_is_set_aside_ends_in_its_time(how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is held, so nothing but the forwarder sees that its time is over. With what was said last."""
    clock = HeldClock()
    sink = Breaking({0, 1}, how)
    async with await LocalHub.open(tmp_path / "edge.db", system=clock.system) as hub:
        run = Run(hub, sink, System(wall_ns=clock.system.wall_ns))
        run.forwarder._suspects._cap = 1_000_000
        kept, expiring = (
            NewJob(data=msgspec.msgpack.encode(number), max_attempts=attempts_of(None, options), options=options)
            for number, options in enumerate((Options(keep_trying_ms=60_000), Options(ttl_ms=60_000)))
        )
        (odd, _) = await hub.enqueue(QUEUE, [kept, expiring])
        async with run.forwarder:
            await until(lambda: run.forwarder._suspects.aside == 2)
            clock.at_ms += 60_000
            await run.through()
            status = await run.forwarder.status()
        assert (status.alert, status.in_flight) == (False, 0)
        dead = await hub.get(odd)
        assert dead.history.reason == "ttl_expired"
        assert dead.history.error
        assert dead.history.error != "it was never tried"
        (queue,) = await hub.queues()
        assert (queue.expired, queue.counts.failed) == (1, 1)


async def test_a_batch_that_got_no_answer_is_tried_one_by_one() -> None:
    """To look for the one by halves would cost the time of another answer each time."""
    sink = Breaking({13}, "is silent")
    async with hub_with(20) as hub:
        run = Run(hub, sink, batch=20)
        async with run.forwarder:
            await until(lambda: len(sink.taken) == 19)
    silent = [tried for tried in sink.tries if 13 in tried]
    assert silent[0] == list(range(20))
    assert silent[1] == [13]
    assert sink.tries.index([13]) < sink.tries.index([14])


async def test_a_local_hub_that_refuses_a_settlement_leaves_nothing_held(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not released then is renewed for as long as the forwarder runs, and never sent."""
    sink = Breaking({1}, "hangs up", one_by_one=True)
    async with hub_with(4) as hub:
        settle = hub.settle
        refusals: list[str] = []

        async def refusing(settlements: Sequence[Settlement]) -> None:
            if not refusals and isinstance(settlements[0].outcome, Complete):
                refusals.append(settlements[0].id)
                raise Invalid("not like this")
            await settle(settlements)

        monkeypatch.setattr(hub, "settle", refusing)
        monkeypatch.setattr("hubqueue.forward.forwarder.RESTART_S", 0.01)
        run = Run(hub, sink)
        async with run.forwarder:
            await until(lambda: len(run.refused) == 1)
            await until(lambda: sink.taken[-2:] == [2, 3])
            status = await run.forwarder.status()
        assert len(refusals) == 1
        assert status.in_flight == 0


async def test_a_stop_ends_though_the_local_hub_takes_nothing_back(monkeypatch: pytest.MonkeyPatch) -> None:
    sink = Breaking({0}, "hangs up")

    async def broken(settlements: Sequence[Settlement]) -> None:
        raise StoreError()

    monkeypatch.setattr("hubqueue.hub.leasekeeper.GIVE_BACK_S", 0.05)
    async with hub_with(0) as hub:
        run = Run(hub, sink, stop_grace_s=0)
        run.forwarder._suspects._cap = 1_000_000
        await add(hub, 0, 1)
        run.forwarder.start()
        await until(lambda: sink.taken == [1] and run.forwarder._keeper.count == 1)
        monkeypatch.setattr(hub, "settle", broken)
        async with asyncio.timeout(60):
            await run.forwarder.stop()
        assert (await hub.counts(QUEUE)).active == 1  # until the next start


async def test_a_stop_gives_back_what_waits_for_its_turn() -> None:
    """One that is set aside goes alone; a lane that has leased others waits for that, and is ended in it."""
    sink = Breaking({0}, "hangs up")
    write = sink.write
    alone = asyncio.Event()

    async def stuck_alone(batch: Batch) -> list[Rejected | None]:
        if alone.is_set():
            await asyncio.Event().wait()
        return await write(batch)

    sink.write = stuck_alone  # type: ignore[method-assign]
    async with hub_with(3) as hub:
        run = Run(hub, sink, concurrency=3, stop_grace_s=0)
        again = run.forwarder._try_again

        async def noted(*args: Any) -> None:
            alone.set()
            await again(*args)

        run.forwarder._try_again = noted  # type: ignore[method-assign]
        async with run.forwarder:
            await until(alone.is_set)
            await add(hub, *range(10, 20))
            await until(lambda: run.forwarder._keeper.count > 1)
        counts = await hub.counts(QUEUE)
        assert counts.active == 0
        assert counts.waiting + counts.completed == 13


async def test_while_one_is_tried_alone_nobody_asks_the_hub_again_and_again() -> None:
    suspects = Suspects(CAP, first_s=1.0, cap_s=60.0)
    async with hub_with(2) as hub:
        first, second = await hub.lease(QUEUE, 2, owner="a")
    for leased in (first, second):
        down = Down(Reason.TIMEOUT, "silent")
        assert suspects.broke(leased, down, well=True, now_s=100.0) is Step.ASIDE
    suspects.nobody_waits = True
    assert suspects.due(100.0) is first
    assert suspects.due(100.0) is second
    assert suspects.wait_ms(30_000, 100.0) == 30_000  # each lane looks again when its try has ended
    suspects.broke(second, down, well=True, now_s=120.0)
    assert suspects.wait_ms(30_000, 120.0) == 2000
