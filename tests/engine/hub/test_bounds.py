"""Rule 16: what bounds drop or refuse, that it is counted, and that nothing else goes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hubqueue.client.local import LocalHub
from hubqueue.errors import NotFound, QueueFull
from hubqueue.hub import maintenance
from hubqueue.hub.settings import HubSettings
from hubqueue.hub.verbs.lease import lease
from hubqueue.hub.verbs.leased import read_logs
from hubqueue.model.bounds import QueueBounds
from hubqueue.model.job import NewJob, Options
from hubqueue.model.outcome import Complete, Reject, Settlement
from hubqueue.model.state import State
from hubqueue.model.verbs import Event
from hubqueue.store import retention
from hubqueue.store.tx import Tx
from support.mixed import miscounted
from support.waiting import until


@pytest.fixture(autouse=True)
def _quick_maintenance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maintenance, "RETENTION_BEATS", 1)
    monkeypatch.setattr(maintenance, "BEAT_S", 0.05)


def _bounded(**bounds: object) -> HubSettings:
    return HubSettings(queues={"q": QueueBounds(**bounds)})  # type: ignore[arg-type]


async def _names(hub: LocalHub, state: State) -> list[str]:
    return [job.name for job in (await hub.list_jobs("q", [state], limit=1000)).jobs]


def _jobs(*numbers: int) -> list[NewJob]:
    return [NewJob(name=f"n{number}") for number in numbers]


async def _beats(hub: LocalHub, count: int = 3) -> None:
    """Let maintenance look at everything."""
    for _ in range(count):
        before = hub.store.groups
        await until(lambda: hub.store.groups > before)  # noqa: B023


async def test_a_full_queue_refuses_and_takes_again_when_a_worker_has_caught_up(tmp_path: Path) -> None:
    async with await LocalHub.open(tmp_path / "hub.db", _bounded(max_jobs=5)) as hub:
        await hub.enqueue("q", _jobs(1, 2, 3))
        with pytest.raises(QueueFull, match="holds 3 of at most 5"):
            await hub.enqueue("q", _jobs(4, 5, 6))
        assert await _names(hub, State.WAITING) == ["n1", "n2", "n3"]  # all of them or none
        await hub.enqueue("q", [*_jobs(4), NewJob(name="n5", delay_ms=60_000)])
        with pytest.raises(QueueFull):
            await hub.enqueue("q", _jobs(6))
        await hub.enqueue("other", _jobs(1) * 100)  # the bound is that of one queue
        await hub.lease("q", 1, owner="w")
        await hub.enqueue("q", _jobs(6))
        assert hub.store.evicted == 0


async def test_a_full_queue_told_so_drops_its_oldest_and_counts_them(tmp_path: Path) -> None:
    events: list[Event] = []
    async with await LocalHub.open(tmp_path / "hub.db", _bounded(max_jobs=5, on_full="drop-oldest")) as hub:
        await hub.subscribe("q", events.append)
        first = await hub.enqueue("q", _jobs(1, 2, 3, 4, 5))
        await hub.enqueue("q", _jobs(6, 7))
        assert await _names(hub, State.WAITING) == ["n3", "n4", "n5", "n6", "n7"]
        assert hub.store.evicted == 2
        assert [event.job_id for event in events if event.kind == "evicted"] == first[:2]
        with pytest.raises(QueueFull):  # more than the queue may ever hold
            await hub.enqueue("q", _jobs(*range(6)))
        assert await hub.run(miscounted) == []


async def test_what_is_dropped_or_expires_is_told_by_its_own_id(tmp_path: Path) -> None:
    events: list[Event] = []
    mortal = NewJob(custom_id="mortal", options=Options(ttl_ms=50))
    async with await LocalHub.open(tmp_path / "hub.db", _bounded(max_jobs=1, on_full="drop-oldest")) as hub:
        await hub.subscribe("q", events.append)
        await hub.enqueue("q", [NewJob(custom_id="mine")])
        await hub.enqueue("q", [mortal])
        await until(lambda: [event.kind for event in events][-1] == "removed")
        ends = [(event.kind, event.job_id) for event in events if event.kind != "pushed"]
        assert ends == [("evicted", "mine"), ("removed", "mortal")]


async def test_dropping_the_oldest_never_takes_a_running_job(tmp_path: Path) -> None:
    async with await LocalHub.open(tmp_path / "hub.db", _bounded(max_jobs=2, on_full="drop-oldest")) as hub:
        await hub.enqueue("q", _jobs(1, 2))
        leased = await hub.lease("q", 2, owner="w")
        await hub.enqueue("q", _jobs(3, 4))
        await hub.enqueue("q", _jobs(5))
        assert await _names(hub, State.ACTIVE) == ["n1", "n2"]
        assert await _names(hub, State.WAITING) == ["n4", "n5"]
        await hub.settle([Settlement(each.job.id, each.token, Complete()) for each in leased])


async def test_the_dead_letters_keep_within_their_bound_and_the_oldest_go(tmp_path: Path) -> None:
    events: list[Event] = []
    async with await LocalHub.open(tmp_path / "hub.db", _bounded(max_dead=3)) as hub:
        await hub.subscribe("q", events.append)
        ids = await hub.enqueue("q", _jobs(*range(8)))
        for each in await hub.lease("q", 8, owner="w"):
            await hub.settle([Settlement(each.job.id, each.token, Reject("no"))])
        assert await _names(hub, State.FAILED) == ["n5", "n6", "n7"]
        assert hub.store.evicted == 5
        assert [event.job_id for event in events if event.kind == "evicted"] == ids[:5]
        assert await hub.run(miscounted) == []


async def test_completed_jobs_keep_within_their_number(tmp_path: Path) -> None:
    async with await LocalHub.open(tmp_path / "hub.db", _bounded(keep_completed=4)) as hub:
        await hub.enqueue("q", _jobs(*range(10)))
        leased = await hub.lease("q", 10, owner="w")
        await hub.settle([Settlement(each.job.id, each.token, Complete(b"\x01")) for each in leased])
        await until(lambda: hub.store.queues.by_name["q"].n[State.COMPLETED] == 4)
        assert await _names(hub, State.COMPLETED) == ["n6", "n7", "n8", "n9"]
        assert await hub.run(miscounted) == []


async def test_completed_jobs_and_dead_letters_go_by_age(tmp_path: Path) -> None:
    settings = _bounded(keep_completed_ms=600, keep_dead_ms=600)
    async with await LocalHub.open(tmp_path / "hub.db", settings) as hub:
        await hub.enqueue("q", _jobs(1, 2, 3))
        done, dead, _ = await hub.lease("q", 3, owner="w")
        ended_ms = hub.now_ms()
        await hub.settle([Settlement(done.job.id, done.token, Complete())])
        await hub.settle([Settlement(dead.job.id, dead.token, Reject("no"))])
        counters = hub.store.queues.by_name["q"].n
        await until(lambda: counters[State.COMPLETED] == counters[State.FAILED] == 0)
        assert hub.now_ms() - ended_ms >= 600
        assert await _names(hub, State.ACTIVE) == ["n3"]


async def test_the_log_of_a_job_is_bounded_and_goes_with_it(tmp_path: Path) -> None:
    async with await LocalHub.open(tmp_path / "hub.db") as hub:
        (id,) = await hub.enqueue("q", _jobs(1))
        for number in range(130):
            await hub.log(id, f"line {number} " + "x" * 10_000)
        lines = await hub.run(lambda tx: read_logs(tx, id))
        assert len(lines) == 100
        assert lines[0].message.startswith("line 30 ")
        assert max(len(line.message) for line in lines) <= 4096
        await hub.cancel(id)
        assert await hub.run(lambda tx: tx.execute("SELECT count(*) FROM job_log").fetchone()) == (0,)


async def test_an_obliterated_queue_is_cleared_at_once_and_keeps_nobody_busy(tmp_path: Path) -> None:
    """Its rows, with expired leases and times to live, must not make maintenance look at them again and again."""
    mortal = NewJob(options=Options(ttl_ms=50))
    async with await LocalHub.open(tmp_path / "hub.db") as hub:
        await hub.enqueue("q", [NewJob()] * 1500)
        await hub.run(lambda tx: lease(tx, "q", 700, "w", 50))
        await hub.enqueue("q", [mortal] * 1500)
        await hub.obliterate("q")
        (kept,) = await hub.enqueue("live", [NewJob()])
        await hub.run(lambda tx: lease(tx, "live", 1, "w", 50))
        await until(lambda: _expired(hub, kept))  # a live lease is found all the same
        await until(lambda: _rows_are(hub, 1))
        # its timer is not set to now again: nothing seems to be due
        await until(lambda: not hub.maintenance._busy and hub.maintenance._alarm.at_ms > hub.now_ms() + 1000)


async def _expired(hub: LocalHub, id: str) -> bool:
    return (await hub.get(id)).stall_count == 1


async def _rows_are(hub: LocalHub, count: int) -> bool:
    def rows(tx: Tx) -> int:
        there: int = tx.execute("SELECT count(*) FROM job").fetchone()[0]
        return there

    return await hub.run(rows) == count


async def test_a_refused_job_drops_no_other_to_make_room(tmp_path: Path) -> None:
    settings = HubSettings(queues={"q": QueueBounds(max_jobs=2, on_full="drop-oldest")})
    async with await LocalHub.open(tmp_path / "hub.db", settings) as hub:
        kept = await hub.enqueue("q", [NewJob(name="a"), NewJob(name="b")])
        with pytest.raises(NotFound, match="Dependency"):
            await hub.enqueue("q", [NewJob(options=Options(depends_on=("nobody",)))])
        assert [job.id for job in (await hub.list_jobs("q")).jobs] == kept
        assert hub.store.evicted == 0


async def test_space_that_is_not_needed_any_more_is_given_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "SPARE_PAGES", 100)
    async with await LocalHub.open(tmp_path / "hub.db") as hub:
        await hub.enqueue("q", [NewJob(data=b"\xc5\x13\x88" + bytes(5000)) for _ in range(1000)])
        full = await hub.run(_pages)
        assert full > 2000
        await hub.drain("q")
        await until(lambda: _shrunk(hub, full // 10))
        assert await hub.run(miscounted) == []


def _pages(tx: Tx) -> int:
    count: int = tx.execute("PRAGMA page_count").fetchone()[0]
    return count


async def _shrunk(hub: LocalHub, pages: int) -> bool:
    return await hub.run(_pages) < pages


async def test_leases_that_are_lost_count_nothing_where_the_queue_says_so(tmp_path: Path) -> None:
    settings = HubSettings(grace_s=0.05, queues={"q": QueueBounds(count_lost=False)})
    async with await LocalHub.open(tmp_path / "hub.db", settings) as hub:
        (id,) = await hub.enqueue("q", [NewJob(name="n", max_attempts=1)])
        for round in range(5):
            holder = hub.holder()
            if round % 2:
                held = await hub.run(lambda tx: lease(tx, "q", 1, "w", 1000))  # it runs out
            else:
                parked: list[Any] = []
                hub.lease_or_park("q", 1, "w", 60_000, 0, holder, parked.append)
                await until(lambda: bool(parked))  # noqa: B023
                held = parked[0]
                hub.lose(holder)
            assert [each.job.id for each in held] == [id]
            await until(lambda: _is_waiting(hub, id))
        job = await hub.get(id)
        assert (job.attempts, job.stall_count, job.lost_count) == (0, 0, 0)
        assert await hub.run(miscounted) == []


async def _is_waiting(hub: LocalHub, id: str) -> bool:
    return (await hub.get(id)).state is State.WAITING
