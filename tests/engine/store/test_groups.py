"""Rules 3 and 4: a group is committed or given up as one; what was answered ok is what the file holds."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from hubqueue.errors import DiskFull, HubqueueError, Internal, Invalid, QueueFull
from hubqueue.hub.hub import Hub
from hubqueue.hub.settings import HubSettings
from hubqueue.hub.verbs.enqueue import enqueue
from hubqueue.hub.waiters import Parked
from hubqueue.model.bounds import QueueBounds
from hubqueue.model.job import NewJob
from hubqueue.model.outcome import Complete, Settlement
from hubqueue.model.verbs import Event
from hubqueue.store.tx import Tx
from support.mixed import miscounted
from support.waiting import until


def _rows(tx: Tx) -> int:
    count: int = tx.execute("SELECT count(*) FROM job").fetchone()[0]
    return count


def _limit_pages(room: int) -> Any:
    """Let the file grow by so many pages and no more: then SQLite answers SQLITE_FULL."""

    def verb(tx: Tx) -> None:
        (pages,) = tx.execute("PRAGMA page_count").fetchone()
        (free,) = tx.execute("PRAGMA freelist_count").fetchone()
        tx.execute(f"PRAGMA max_page_count = {pages - free + room}").fetchall()

    return verb


def _add(number: int) -> Any:
    job = NewJob(name=f"n{number}", data=b"\xc5\x13\x88" + bytes(5000))
    return lambda tx: enqueue(tx, f"q{number % 3}", [job])


@pytest.mark.parametrize("room", [0, 1, 7, 40, 100, 140, 10_000])
async def test_a_full_disk_at_any_place_of_a_group_takes_back_the_whole_group(room: int, tmp_path: Path) -> None:
    async with await Hub.open(tmp_path / "hub.db") as hub:
        await hub.run(_add(0))
        await hub.run(_limit_pages(room))
        events: list[Event] = []
        await hub.subscribe(None, events.append)
        replies: list[Any] = []
        groups: set[int] = set()  # that had been committed when each reply came

        def replied(reply: Any) -> None:
            replies.append(reply)
            groups.add(hub.store.groups)

        before = hub.store.groups
        for number in range(1, 61):
            hub.submit(_add(number), replied)
        await until(lambda: len(replies) == 60)
        ok = [reply for reply in replies if not isinstance(reply, HubqueueError)]
        refused = [reply for reply in replies if isinstance(reply, HubqueueError)]
        assert await hub.run(_rows) == 1 + len(ok)
        assert await hub.run(miscounted) == []
        assert sorted(event.job_id for event in events if event.kind == "pushed") == sorted(id for (id,) in ok)
        if room == 10_000:
            assert groups == {before + 1}  # all of them were in the next one, whatever maintenance commits afterwards
            assert not refused
        else:
            assert refused
            assert all(isinstance(each, DiskFull) for each in refused)
        await hub.run(_limit_pages(1_000_000))
        await until(lambda: not hub.disk_full)
        await hub.run(_add(61))
        assert await hub.run(_rows) == 2 + len(ok)


async def test_with_a_full_disk_leased_jobs_still_end(tmp_path: Path) -> None:
    async with await Hub.open(tmp_path / "hub.db") as hub:
        for number in range(0, 60, 3):
            await hub.run(_add(number))
        leased = await hub.lease("q0", 20, owner="w")
        await hub.run(_limit_pages(2))
        with pytest.raises(DiskFull):
            await hub.enqueue("q0", [NewJob(data=b"\xc5\x75\x30" + bytes(30_000))])
        await hub.settle([Settlement(each.job.id, each.token, Complete(remove=True)) for each in leased])
        assert await hub.run(_rows) == 0
        await hub.run(_limit_pages(1_000_000))


async def test_a_verb_that_refuses_takes_nothing_back_but_itself(tmp_path: Path) -> None:
    settings = HubSettings(queues={"small": QueueBounds(max_jobs=3)})
    async with await Hub.open(tmp_path / "hub.db", settings) as hub:
        replies: list[Any] = []
        for _ in range(6):
            hub.submit(lambda tx: enqueue(tx, "small", [NewJob()]), replies.append)
            hub.submit(lambda tx: enqueue(tx, "large", [NewJob()]), replies.append)
        await until(lambda: len(replies) == 12)
        assert sum(isinstance(reply, QueueFull) for reply in replies) == 3
        assert await hub.run(_rows) == 9
        assert await hub.run(miscounted) == []


def _raises(tx: Tx) -> None:
    enqueue(tx, "new-queue", [NewJob()])
    raise ZeroDivisionError


def _refuses_too_late(tx: Tx) -> None:
    enqueue(tx, "new-queue", [NewJob()])
    raise Invalid("seen too late")


def _asks_wrong(tx: Tx) -> None:
    enqueue(tx, "new-queue", [NewJob()])
    tx.execute("INSERT INTO meta (key, value) SELECT key, value FROM meta")


def _asks_nonsense(tx: Tx) -> None:
    enqueue(tx, "new-queue", [NewJob()])
    tx.execute("SELECT nothing FROM nowhere")


@pytest.mark.parametrize(
    ("broken", "code"),
    [
        (_raises, "internal"),
        (_asks_nonsense, "internal"),
        (_refuses_too_late, "invalid"),
        (_asks_wrong, "internal"),
        (partial(_raises), "internal"),
    ],
    ids=["raises", "asks nonsense", "refuses too late", "asks SQLite wrong", "a partial"],
)
async def test_a_verb_with_a_defect_is_taken_back_alone_and_named(
    broken: Callable[[Tx], None], code: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with await Hub.open(tmp_path / "hub.db") as hub:
        replies: list[tuple[str, Any, int]] = []
        events: list[Event] = []
        await hub.subscribe(None, events.append)
        parked = asyncio.ensure_future(hub.lease("late", 1, owner="w", wait_ms=10_000))
        for name, verb in (("0", _add(0)), ("broken", broken), ("1", _add(1)), ("again", broken), ("2", _add(2))):
            hub.submit(verb, lambda reply, name=name: replies.append((name, reply, hub.store.groups)))  # type: ignore[misc]
        before = hub.store.groups
        await until(lambda: len(replies) == 5)
        assert [(name, group) for name, _, group in replies] == [
            (name, before + 1) for name in ("0", "broken", "1", "again", "2")
        ]
        found = {name: reply for name, reply, _ in replies}
        assert [found[name].code for name in ("broken", "again")] == [code] * 2
        assert not found["broken"].retryable
        ids = [id for name in "012" for id in found[name]]
        assert len(set(ids)) == 3 == await hub.run(_rows)
        assert sorted(event.job_id for event in events if event.kind == "pushed") == sorted(ids)
        assert await hub.counts("new-queue") == await hub.counts("never-seen")
        assert await hub.run(miscounted) == []
        assert hub.store.backlog.bytes == 0
        assert caplog.text.count(f"a defect. verb={__name__}.{getattr(broken, 'func', broken).__name__}") == 2
        (id,) = await hub.enqueue("late", [NewJob()])
        assert [each.id for each in await parked] == [id]  # who waited for a job before is still there, once


async def test_who_was_parked_by_a_verb_that_ran_again_is_there_once(tmp_path: Path) -> None:
    async with await Hub.open(tmp_path / "hub.db") as hub:
        got: list[Any] = []
        hub.store.queues.create("q")
        hub.lease_or_park("q", 1, "w", 30_000, 10_000, None, got.append)
        hub._try(Parked(hub._waiters, "q", 1, "w", 30_000, None, got.append, 10), first=False)
        hub.submit(_raises, lambda reply: None)
        await hub.sync()
        await hub.run(_rows)
        assert len(hub._waiters.everyone()) == 2
        await hub.enqueue("q", [NewJob(), NewJob(), NewJob()])
        await until(lambda: len(got) == 2)
        assert hub._waiters.everyone() == []


async def test_a_defect_of_webhooks_costs_no_job(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with await Hub.open(tmp_path / "hub.db") as hub:
        monkeypatch.setattr(hub.webhooks, "_wanted", ["gone"])  # of an id that nobody knows
        await hub.subscribe(None, lambda event: None)
        await hub.enqueue("q", [NewJob()])
        assert await hub.run(_rows) == 1
        assert "Telling webhooks failed: a defect" in caplog.text


async def test_a_defect_before_the_commit_is_answered_and_the_next_group_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with await Hub.open(tmp_path / "hub.db") as hub:
        with monkeypatch.context() as patched:
            patched.setattr(Tx, "store_counters", lambda self: 1 / 0)
            with pytest.raises(Internal):
                await hub.enqueue("q", [NewJob()])
        await hub.enqueue("q", [NewJob()])
        assert await hub.run(_rows) == 1
        assert await hub.run(miscounted) == []


async def test_whatever_fails_at_random_the_file_holds_what_was_answered(tmp_path: Path) -> None:
    chance = random.Random(7)
    async with await Hub.open(tmp_path / "hub.db") as hub:
        taken = 0
        for _ in range(30):
            await hub.run(_limit_pages(chance.choice((0, 3, 20, 60, 10_000))))
            replies: list[Any] = []
            size = chance.randint(1, 30)
            for number in range(size):
                hub.submit(_add(number), replies.append, durable=chance.random() < 0.3)
            await until(lambda: len(replies) == size)  # noqa: B023
            taken += sum(not isinstance(reply, HubqueueError) for reply in replies)
            await hub.run(_limit_pages(10_000))
            hub.store.space.check()
            assert await hub.run(_rows) == taken
            assert await hub.run(miscounted) == []
        assert taken > 100
    async with await Hub.open(tmp_path / "hub.db") as hub:
        assert await hub.run(_rows) == taken


async def test_a_lingering_verb_that_fails_does_not_harm_the_one_that_ends_its_wait(tmp_path: Path) -> None:
    def broken(tx: Tx) -> None:
        raise ZeroDivisionError

    async with await Hub.open(tmp_path / "hub.db", HubSettings(linger_s=60)) as hub:
        await hub.sync()
        replies: list[Any] = []
        hub.submit(broken, replies.append, linger=True)
        assert replies == []
        assert len(await hub.run(_add(0))) == 1
        assert [reply.code for reply in replies] == ["internal"]
        assert hub.store.backlog.bytes == 0


async def test_reading_writes_and_syncs_nothing(tmp_path: Path) -> None:
    async with await Hub.open(tmp_path / "hub.db", HubSettings(sync_interval_s=0.01)) as hub:
        await hub.enqueue("q", [NewJob()])
        await hub.sync()
        synced = await hub.run(lambda tx: tx.db.total_changes)
        hub.store.clock.rebase(3_600_000)  # long after hub time was stored last
        for _ in range(3):
            assert (await hub.counts("q")).waiting == 1
        assert await hub.run(lambda tx: tx.db.total_changes) == synced
        asked = asyncio.ensure_future(hub.sync())
        assert asked.done()  # nothing is dirty
        await asked
