"""Queues, jobs and what can be done with them, near and far alike."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import hubqueue
from hubqueue.api.access import Access
from hubqueue.errors import Invalid, JobFailed, NotFound, TimedOut, WrongState
from hubqueue.model.verbs import Event
from support.waiting import PATIENCE_S, in_time


async def test_a_job_comes_back_as_it_went_in(hub: Access) -> None:
    data = {
        "text": "ä",
        "n": 2**40,
        "raw": b"\x00\xff",
        "list": [1.5, None, True],
        "at": datetime(2026, 1, 2, tzinfo=UTC),
    }
    job = await hub.queue("mail").add("send", data, priority=3, attempts=5, tags=["a", "b"])
    seen = await job.get()
    assert (seen.id, seen.queue, seen.name, seen.data) == (job.id, "mail", "send", data)
    assert (seen.state, seen.priority, seen.attempts, seen.attempts_made) == ("prioritized", 3, 5, 0)
    assert seen.job.options.tags == ("a", "b")


async def test_what_is_said_of_a_job_is_read_under_the_same_name(hub: Access) -> None:
    queue = hub.queue("mail")
    await queue.add("first", id="first")
    above = await queue.add("above", {}, id="above", delay=60, keep_trying=3600)
    key = hubqueue.dedup("k", ttl=60, extend=True)
    said: dict[str, Any] = {
        "dedup": key,
        "group": "g",
        "tags": ("a",),
        "depends_on": ("first",),
        "parent": ("mail", above.id),
    }
    seen = await (await queue.add("send", {"to": "ada"}, on_failure="ignore", attempts=4, **said)).get()
    assert {name: getattr(seen, name) for name in said} == said
    assert (seen.on_failure, seen.attempts, seen.attempts_made) == ("ignore", 4, 0)
    assert (await above.get()).attempts is None  # it is kept trying, however often it fails
    plain = await (await queue.add("plain")).get()
    assert [getattr(plain, name) for name in said] == [None, None, (), (), None]


async def test_a_job_without_data_has_none(hub: Access) -> None:
    job = await hub.queue("mail").add("ping")
    seen = await job.get()
    assert seen.data is None
    assert seen.job.data is None


@pytest.mark.parametrize("delay", [60, 60.0, timedelta(minutes=1)])
async def test_a_delay_is_seconds_or_a_timedelta(hub: Access, delay: float | timedelta) -> None:
    seen = await (await hub.queue("mail").add("send", delay=delay)).get()
    assert seen.state == "delayed"
    assert seen.run_at is not None
    assert seen.created_at is not None
    assert seen.run_at - seen.created_at == timedelta(minutes=1)


async def test_a_job_can_be_told_when_to_run(hub: Access) -> None:
    at = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    seen = await (await hub.queue("mail").add("send", run_at=at)).get()
    assert (seen.state, seen.run_at) == ("delayed", at)


async def test_all_the_rare_options_are_kept(hub: Access) -> None:
    job = await hub.queue("mail").add(
        "send",
        backoff=hubqueue.fixed(2, jitter=0.5),
        timeout=10,
        ttl=100,
        stall_timeout=20,
        lifo=True,
        durable=True,
        dedup=hubqueue.dedup("key", ttl=50, extend=True),
        remove_on_complete=True,
        remove_on_fail=True,
    )
    options = (await job.get()).job.options
    assert options.backoff is not None
    assert (options.backoff.kind, options.backoff.delay_ms, options.backoff.jitter) == ("fixed", 2000, 0.5)
    assert (options.timeout_ms, options.ttl_ms, options.stall_timeout_ms) == (10_000, 100_000, 20_000)
    assert (options.lifo, options.durable, options.remove_on_complete, options.remove_on_fail) == (True,) * 4
    assert options.dedup is not None
    assert (options.dedup.key, options.dedup.ttl_ms, options.dedup.extend) == ("key", 50_000, True)


async def test_a_custom_id_is_the_id_and_added_once(hub: Access) -> None:
    queue = hub.queue("mail")
    first = await queue.add("send", 1, id="order-7")
    again = await queue.add("send", 2, id="order-7")
    assert first.id == again.id == "order-7"
    assert (await queue.get("order-7")).data == 1
    assert (await queue.counts()).waiting == 1


async def test_a_unique_job_is_added_once(hub: Access) -> None:
    queue = hub.queue("mail")
    first = await queue.add("send", 1, dedup="k")
    assert (await queue.add("send", 2, dedup="k")).id == first.id


async def test_many_are_added_in_order(hub: Access) -> None:
    queue = hub.queue("mail")
    jobs = await queue.add_many([("send", n) for n in range(300)])
    assert len({job.id for job in jobs}) == 300
    assert [view.data async for view in queue.jobs()] == list(range(300))
    assert [view.data async for view in queue.jobs("waiting", newest_first=True)] == list(reversed(range(300)))


async def test_of_many_with_a_bad_one_none_is_added(hub: Access) -> None:
    queue = hub.queue("mail")
    with pytest.raises(Invalid):
        await queue.add_many([("send", 1), ("", 2)])
    assert (await queue.counts()).waiting == 0


async def test_many_may_have_options(hub: Access) -> None:
    queue = hub.queue("mail")
    _, second = await queue.add_many([hubqueue.job("send", 1), hubqueue.job("send", 2, priority=9)])
    assert (await second.get()).priority == 9


@pytest.mark.parametrize("value", [object(), {1: object()}, 2**70, "\ud800"])
async def test_data_that_cannot_be_carried_is_refused(hub: Access, value: object) -> None:
    with pytest.raises(Invalid, match="cannot carry"):
        await hub.queue("mail").add("send", value)


async def test_an_option_that_does_not_exist_is_named(hub: Access) -> None:
    with pytest.raises(Invalid, match="delay_ms"):
        await hub.queue("mail").add("send", delay_ms=5)  # type: ignore[call-arg]


@pytest.mark.parametrize("name", ["", "with space", "x" * 257])
async def test_a_queue_name_that_cannot_be_is_refused(hub: Access, name: str) -> None:
    with pytest.raises(Invalid):
        hub.queue(name)


async def test_a_result_is_waited_for(hub: Access) -> None:
    async def double(job: hubqueue.RunningJob) -> int:
        return int(job.data) * 2

    queue = hub.queue("sums")
    job = await queue.add("double", 21)
    async with hub.worker("sums", double):
        assert await job.result(timeout=PATIENCE_S) == 42
    seen = await job.get()
    assert (seen.state, seen.result, seen.progress) == ("completed", 42, 100)
    assert seen.finished_at is not None


async def test_waiting_for_a_result_has_an_end(hub: Access) -> None:
    job = await hub.queue("sums").add("never")
    with pytest.raises(TimedOut):
        await job.result(timeout=0.05)


async def test_the_result_of_a_dead_job_is_its_error(hub: Access) -> None:
    async def refuse(job: hubqueue.RunningJob) -> None:
        raise hubqueue.Reject("no such address")

    job = await hub.queue("mail").add("send")
    async with hub.worker("mail", refuse):
        with pytest.raises(JobFailed, match="no such address"):
            await job.result(timeout=PATIENCE_S)
    seen = await job.get()
    assert (seen.state, seen.reason, seen.error) == ("failed", "rejected", "no such address")
    assert [(run.attempt, run.reason, run.error) for run in seen.errors] == [(1, "rejected", "no such address")]


async def test_dead_jobs_are_run_again_or_purged(hub: Access) -> None:
    async def refuse(job: hubqueue.RunningJob) -> None:
        raise hubqueue.Reject("no")

    queue = hub.queue("mail")
    jobs = await queue.add_many([("send", n) for n in range(3)])
    async with hub.worker("mail", refuse, concurrency=3):
        for job in jobs:
            with pytest.raises(JobFailed):
                await job.result(timeout=PATIENCE_S)
    assert [view.data async for view in queue.dead()] == [0, 1, 2]
    assert await queue.retry_dlq(limit=1) == 1
    counts = await queue.counts()
    assert (counts.waiting, counts.failed) == (1, 2)
    assert await queue.purge_dlq() == 2
    assert (await queue.counts()).failed == 0


async def test_a_job_that_has_ended_runs_again(hub: Access) -> None:
    async def noop(job: hubqueue.RunningJob) -> None: ...

    job = await hub.queue("mail").add("send")
    with pytest.raises(WrongState):
        await job.retry()
    async with hub.worker("mail", noop):
        await job.result(timeout=PATIENCE_S)
    await job.retry()
    assert (await job.get()).state == "waiting"


async def test_a_paused_queue_gives_no_jobs_until_it_goes_on(hub: Access) -> None:
    ran = asyncio.Event()

    async def run(job: hubqueue.RunningJob) -> None:
        ran.set()

    queue = hub.queue("mail")
    await queue.pause()
    job = await queue.add("send")
    assert (await queue.counts()).paused == 1
    assert [info.paused for info in await hub.queues() if info.name == "mail"] == [True]
    async with hub.worker("mail", run):
        with pytest.raises(TimedOut):
            await job.result(timeout=0.1)
        assert not ran.is_set()
        await queue.resume()
        await job.result(timeout=PATIENCE_S)


async def test_a_queue_is_drained_cleaned_and_obliterated(hub: Access) -> None:
    async def noop(job: hubqueue.RunningJob) -> None: ...

    queue = hub.queue("mail")
    done = await queue.add("send")
    async with hub.worker("mail", noop):
        await done.result(timeout=PATIENCE_S)
    await queue.add_many([("send", n) for n in range(4)])
    assert await queue.drain() == 4
    assert await queue.clean(3600) == []
    assert await queue.clean(0) == [done.id]
    await queue.add("send")
    await queue.obliterate()
    assert (await queue.counts()).waiting == 0


@pytest.mark.parametrize("state", ["active", "waiting-children", "prioritized"])
async def test_what_runs_or_waits_for_others_is_not_cleaned(hub: Access, state: str) -> None:
    queue = hub.queue("mail")
    job = await queue.add("send")
    async with queue.take(1):
        with pytest.raises(Invalid, match=state):
            await queue.clean(0, state=state)
    assert (await job.get()).state == "completed"


async def test_an_obliterated_queue_holds_on_to_nothing(hub: Access) -> None:
    queue = hub.queue("mail")
    await queue.add("send", 1, id="order-7", dedup="k")
    await queue.obliterate()
    with pytest.raises(NotFound):
        await queue.get("order-7")
    again = await queue.add("send", 2, id="order-7", dedup="k")
    assert (await again.get()).data == 2
    assert (await queue.counts()).waiting == 1


async def test_jobs_are_read_by_all_of_their_tags(hub: Access) -> None:
    queue = hub.queue("mail")
    for name, tags in (("both", ["a", "b"]), ("one", ["a"]), ("later", ["a"]), ("none", [])):
        await queue.add(name, tags=tags, **({"delay": 60} if name == "later" else {}))

    async def names(*states: str, **which: Any) -> list[str]:
        return [job.name async for job in queue.jobs(*states, **which)]

    assert await names(tags=["a"]) == ["both", "one", "later"]
    assert await names("waiting", tags={"a"}, newest_first=True) == ["one", "both"]
    assert await names(tags=("b", "a", "b")) == ["both"]
    assert await names(tags=["A"]) == []
    assert await names(tags=()) == ["both", "one", "later", "none"]
    await queue.pause()
    assert await names("waiting", tags=["b"]) == ["both"]
    for wrong in ("a", [1], None, ["x" * 257], ["x"] * 101):
        with pytest.raises(Invalid, match="tags must be"):
            await names(tags=wrong)
    await queue.resume()
    async with queue.take(2) as batch:
        for job in batch:
            batch.reject(job, "no")
    assert [job.name async for job in queue.dead(tags=["a", "b"])] == ["both"]


async def test_a_queued_job_is_changed(hub: Access) -> None:
    job = await hub.queue("mail").add("send", 1, delay=60)
    await job.update({"new": True})
    await job.change_priority(7)
    await job.change_delay(timedelta(hours=1))
    seen = await job.get()
    assert (seen.data, seen.priority, seen.state) == ({"new": True}, 7, "delayed")
    await job.promote()
    assert (await job.get()).state == "prioritized"
    await job.snooze(timedelta(minutes=5))
    assert (await job.get()).state == "delayed"
    tomorrow = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    await job.snooze(until=tomorrow)
    assert (await job.get()).run_at == tomorrow
    with pytest.raises(Invalid, match="one of until and delay"):
        await job.snooze()
    await job.cancel()
    with pytest.raises(NotFound):
        await job.get()
    with pytest.raises(NotFound):
        await job.cancel()


async def test_events_of_a_queue_are_told(hub: Access) -> None:
    heard: list[Event] = []
    pushed = asyncio.Event()

    def receive(event: Event) -> None:
        heard.append(event)
        pushed.set()

    queue = hub.queue("mail")
    stop = await queue.subscribe(receive)
    job = await queue.add("send")
    await hub.queue("other").add("send")
    async with in_time():
        await pushed.wait()
    assert [(event.kind, event.queue, event.job_id) for event in heard] == [("pushed", "mail", job.id)]
    stop()


async def test_events_of_all_queues_are_told(hub: Access) -> None:
    heard: set[str] = set()
    both = asyncio.Event()

    def receive(event: Event) -> None:
        heard.add(event.queue)
        if heard >= {"mail", "other"}:
            both.set()

    stop = await hub.subscribe(receive)
    await hub.queue("mail").add("send")
    await hub.queue("other").add("send")
    async with in_time():
        await both.wait()
    stop()


async def test_a_schedule_adds_jobs_again_and_again(hub: Access) -> None:
    queue = hub.queue("ticks")
    await queue.upsert_schedule("tick", every=0.05, name="tick", data={"n": 1}, limit=3)

    ran: list[object] = []
    thrice = asyncio.Event()

    async def run(job: hubqueue.RunningJob) -> None:
        ran.append(job.data)
        if len(ran) == 3:
            thrice.set()

    async with hub.worker("ticks", run), in_time():
        await thrice.wait()
    assert ran == [{"n": 1}] * 3


async def test_a_schedule_needs_one_rhythm(hub: Access) -> None:
    with pytest.raises(Invalid):
        await hub.queue("ticks").upsert_schedule("tick")
    with pytest.raises(Invalid):
        await hub.queue("ticks").upsert_schedule("tick", every=1, cron="* * * * *")


async def test_a_deleted_schedule_adds_nothing_more(hub: Access) -> None:
    queue = hub.queue("ticks")
    await queue.upsert_schedule("tick", every=3600)
    await queue.delete_schedule("tick")
    with pytest.raises(NotFound):
        await queue.delete_schedule("tick")
