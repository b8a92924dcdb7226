"""`_overflow`: what a full queue has no room for goes back by itself, in order, as it came."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubqueue.client.local import LocalHub
from hubqueue.errors import QueueFull
from hubqueue.hub.settings import HubSettings
from hubqueue.hub.verbs import overflow
from hubqueue.hub.verbs.ingest import UNROUTABLE, Placed, intake
from hubqueue.hub.verbs.overflow import OVERFLOW
from hubqueue.ingest.outcome import Taken
from hubqueue.model.bounds import QueueBounds
from hubqueue.model.job import Dedup, Job, NewJob, Options
from hubqueue.model.outcome import Complete, Output, Settlement
from hubqueue.model.state import State
from support.waiting import until

SMALL = HubSettings(queues={"small": QueueBounds(max_jobs=2), "other": QueueBounds(max_jobs=1)})


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[LocalHub]:
    async with await LocalHub.open(tmp_path / "hub.db", SMALL) as opened:
        yield opened


def arrivals(numbers: Sequence[int], queue: str = "small", on_full: str = "overflow", **more: object) -> list[Taken]:
    return [
        Taken(queue, NewJob(data=msgspec.msgpack.encode(number), **more), on_full)  # type: ignore[arg-type]
        for number in numbers
    ]


async def take(hub: LocalHub, batch: Sequence[Taken]) -> Placed:
    return await hub.run(lambda tx: intake(tx, batch, []))


def number(job: Job) -> int:
    found: int = msgspec.msgpack.decode(job.data or b"")
    return found


async def numbers(hub: LocalHub, queue: str) -> list[int]:
    return [number(job) for job in (await hub.list_jobs(queue)).jobs]


async def work(hub: LocalHub, queue: str) -> list[int]:
    """Work off what comes, until neither the queue nor the overflow has anything."""
    done: list[int] = []
    while (await hub.counts(queue)).waiting or await numbers(hub, OVERFLOW):
        leased = await hub.lease(queue, 2, owner="w", wait_ms=1000)
        done += [number(each.job) for each in leased]
        await hub.settle([Settlement(each.job.id, each.token, Complete()) for each in leased])
    return done


async def test_they_go_back_in_order_as_their_queue_is_worked_off(hub: LocalHub) -> None:
    assert await take(hub, arrivals(range(20))) == Placed(enqueued=2, overflowed=18)
    assert await work(hub, "small") == list(range(20))
    assert await numbers(hub, OVERFLOW) == []


async def test_newer_messages_go_behind_those_that_wait(hub: LocalHub) -> None:
    await take(hub, arrivals([0, 1, 2, 3, 4]))
    leased = await hub.lease("small", 1, owner="w")
    # without a look at what waits, 5 would find the room that 0 has left
    placed = await take(hub, arrivals([5, 6]))
    assert (placed.enqueued, placed.overflowed) == (0, 2)
    assert [number(each.job) for each in leased] + await work(hub, "small") == [0, 1, 2, 3, 4, 5, 6]


async def test_other_queues_are_not_held_up(hub: LocalHub) -> None:
    await take(hub, arrivals([0, 1, 2]))
    assert await take(hub, arrivals([7], "free") + arrivals([8, 9], "other")) == Placed(enqueued=2, overflowed=1)
    assert await numbers(hub, "free") == [7]


async def test_what_may_be_dropped_or_waits_does_not_overtake(hub: LocalHub) -> None:
    await take(hub, arrivals([0, 1, 2]))
    assert await take(hub, arrivals([3], on_full="drop")) == Placed(dropped=1)
    with pytest.raises(QueueFull, match="older jobs wait"):
        await take(hub, arrivals([4], on_full="wait"))


async def test_a_job_comes_back_with_its_id_and_all_it_came_with(hub: LocalHub) -> None:
    options = Options(dedup=Dedup("k", ttl_ms=60_000), ttl_ms=3_600_000, tags=("a",), remove_on_complete=True)
    job = NewJob(
        name="n", data=b"\x05", priority=3, max_attempts=7, delay_ms=3_600_000, options=options, custom_id="own"
    )
    await take(hub, arrivals([0, 1]))
    assert await take(hub, [Taken("small", job)]) == Placed(overflowed=1)
    (parked,) = (await hub.list_jobs(OVERFLOW)).jobs
    assert (parked.id, parked.options.tags, parked.options.dedup) == ("own", ("a", "queue:small"), None)
    await hub.lease("small", 2, owner="w")
    await until(lambda: hub.store.queues.find(OVERFLOW).n[State.DELAYED] == 0)  # type: ignore[union-attr]
    back = await hub.get("own")
    assert (back.queue, back.state, back.seq, back.options) == ("small", State.DELAYED, parked.seq, options)
    assert (back.name, back.priority, back.max_attempts, back.data) == ("n", 3, 7, b"\x05")
    assert back.run_at_ms == parked.run_at_ms == parked.created_at_ms + 3_600_000
    # its key counts in its queue: the same reading again makes no second job
    await take(hub, [Taken("small", msgspec.structs.replace(job, custom_id=None))])
    assert (await hub.counts("small")).delayed == 1


async def test_an_own_id_that_waits_here_is_known_to_its_queue_and_taken_for_others(hub: LocalHub) -> None:
    await take(hub, arrivals([0, 1, 2, 3]) + arrivals([4], custom_id="own"))
    assert [job.custom_id for job in (await hub.list_jobs(OVERFLOW)).jobs] == [None, None, "own"]
    assert await take(hub, arrivals([5], custom_id="own")) == Placed(overflowed=1)  # it stands for this one
    assert await take(hub, arrivals([6], "free", custom_id="own")) == Placed(dead=1)
    (dead,) = (await hub.list_jobs(UNROUTABLE, states=[State.FAILED])).jobs
    assert (number(dead), dead.history.reason) == (6, "invalid")
    assert "The id own is that of a job in queue small" in (dead.history.error or "")
    assert await work(hub, "small") == [0, 1, 2, 3, 4]


async def test_an_own_id_of_another_queue_costs_nobody_else_in_the_batch(hub: LocalHub) -> None:
    await take(hub, arrivals([0], "free", custom_id="own"))
    placed = await take(hub, [*arrivals([1]), *arrivals([2], custom_id="own"), *arrivals([3])])
    assert placed == Placed(enqueued=2, dead=1)
    placed = await take(hub, [*arrivals([4]), *arrivals([5], custom_id="own"), *arrivals([6])])  # they go behind
    assert placed == Placed(overflowed=2, dead=1)
    assert await work(hub, "small") == [1, 3, 4, 6]


async def test_a_key_that_is_held_by_now_makes_no_second_job(hub: LocalHub) -> None:
    keyed = Options(dedup=Dedup("k"))
    await take(hub, arrivals([0, 1]) + arrivals([2, 3], options=keyed))
    assert len(await numbers(hub, OVERFLOW)) == 2
    await hub.lease("small", 2, owner="w")
    await until(lambda: not hub.store.queues.find(OVERFLOW).n[State.WAITING])  # type: ignore[union-attr]
    assert (await hub.counts("small")).waiting == 1


async def test_an_answer_is_asked_for_although_its_job_had_to_wait(hub: LocalHub) -> None:
    def follow(id: str) -> Output:
        return Output("answers", NewJob(data=msgspec.msgpack.encode(id)))

    await take(hub, arrivals([0, 1]))
    await take(hub, [Taken("small", NewJob(), follow=follow)])
    (parked,) = (await hub.list_jobs(OVERFLOW)).jobs
    (answer,) = (await hub.list_jobs("answers")).jobs
    assert msgspec.msgpack.decode(answer.data or b"") == parked.id


async def test_an_answer_without_room_does_not_cost_its_job_and_is_told(
    hub: LocalHub, caplog: pytest.LogCaptureFixture
) -> None:
    def follow(id: str) -> Output:
        return Output("other", NewJob())

    wanted = [Taken("small", NewJob(), follow=follow) for _ in range(4)]
    assert await take(hub, wanted) == Placed(enqueued=2, overflowed=2, unanswered=3)
    assert "no room for what is to answer them count=3" in caplog.text


async def test_what_was_removed_from_there_holds_nothing_back(hub: LocalHub) -> None:
    await take(hub, arrivals([0, 1, 2, 3]))
    assert await hub.drain(OVERFLOW) == 2
    await hub.lease("small", 2, owner="w")
    assert await take(hub, arrivals([4])) == Placed(enqueued=1)
    await hub.run(overflow.prune)
    assert await hub.run(lambda tx: tx.execute("SELECT count(*) FROM overflow").fetchone()) == (0,)


async def test_a_bound_that_was_lifted_lets_all_go_back(tmp_path: Path) -> None:
    async with await LocalHub.open(tmp_path / "hub.db", SMALL) as hub:
        await take(hub, arrivals(range(1200)))
    async with await LocalHub.open(tmp_path / "hub.db") as hub:
        await until(lambda: hub.store.queues.find(OVERFLOW).n[State.WAITING] == 0)  # type: ignore[union-attr]
        found = [number(each.job) for each in await hub.lease("small", 1000, owner="w")]
        assert found == list(range(1000))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.sampled_from(["in", "out", "cancel"]), max_size=30))
def test_whatever_happens_no_job_overtakes_and_none_is_doubled(acts: list[str]) -> None:
    asyncio.run(_play(acts))


async def _play(acts: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with await LocalHub.open(Path(folder) / "hub.db", SMALL) as hub:
            sent, seen, cancelled = 0, [], set()
            for act in acts:
                if act == "in":
                    await take(hub, arrivals([sent, sent + 1]))
                    sent += 2
                elif act == "out":
                    seen += [number(each.job) for each in await hub.lease("small", 1, owner="w")]
                elif there := (await hub.list_jobs(OVERFLOW)).jobs:
                    cancelled.add(number(there[0]))
                    await hub.cancel(there[0].id)
            while len(seen) + len(cancelled) < sent:
                seen += [number(each.job) for each in await hub.lease("small", 2, owner="w", wait_ms=1000)]
            assert seen == [each for each in range(sent) if each not in cancelled]
