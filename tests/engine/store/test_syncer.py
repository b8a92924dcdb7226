"""Groups of fdatasync, with a log that the test holds: who is answered by which sync, and what a failed one means."""

from __future__ import annotations

import asyncio
import errno
import threading
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest

from hubqueue.store.syncer import Syncer
from support.waiting import PATIENCE_S, soon, until


class HeldLog:
    """A log whose syncs begin and end when the test says so."""

    def __init__(self) -> None:
        self.begun = 0
        self.error: OSError | None = None
        self._may_end = threading.Semaphore(0)

    def sync(self) -> None:
        self.begun += 1
        assert self._may_end.acquire(timeout=PATIENCE_S)
        if self.error is not None:
            raise self.error

    def end(self) -> None:
        """One sync, running or to come, ends."""
        self._may_end.release()


class Bench:
    def __init__(self) -> None:
        self.log = HeldLog()
        self.failures: list[OSError] = []
        self.syncer = Syncer(cast(Any, self.log), 3600.0, lambda error, again: self.failures.append(error), seq=1)
        self.answers: dict[str, OSError | None] = {}
        self.seq = 1

    def commit(self) -> int:
        """A group with one job; its number."""
        self.seq += 1
        self.syncer.committed(self.seq)
        return self.seq - 1

    def ask(self, name: str) -> None:
        def answered(error: OSError | None) -> None:
            assert name not in self.answers  # once each
            self.answers[name] = error

        self.syncer.request(answered)

    async def begun(self, count: int) -> None:
        await until(lambda: self.log.begun == count)

    async def ended(self, count: int) -> None:
        self.log.end()
        await until(lambda: self.syncer.count == count)


@pytest.fixture
async def bench() -> AsyncIterator[Bench]:
    bench = Bench()
    yield bench
    for _ in range(9):
        bench.log.end()
    await asyncio.get_running_loop().run_in_executor(None, bench.syncer.close)


async def test_what_was_committed_while_a_sync_runs_waits_for_the_next_one(bench: Bench) -> None:
    bench.syncer.committed(1)
    bench.ask("first")
    await bench.begun(1)
    bench.syncer.committed(1)
    bench.ask("second")
    bench.ask("third")
    assert bench.answers == {}
    await bench.ended(1)
    assert bench.answers == {"first": None}
    await bench.begun(2)
    assert bench.answers == {"first": None}
    await bench.ended(2)
    assert bench.answers == {"first": None, "second": None, "third": None}
    assert bench.log.begun == 2


async def test_who_asks_while_a_sync_runs_is_not_answered_before_it_has_ended(bench: Bench) -> None:
    """Nothing was committed since it began: what is asked for is what it is syncing, and that is not safe yet."""
    bench.syncer.committed(1)
    bench.ask("first")
    await bench.begun(1)
    bench.ask("second")
    assert bench.answers == {}
    await bench.ended(1)
    bench.log.end()
    await until(lambda: bench.answers == {"first": None, "second": None})


async def test_nothing_is_synced_for_who_asks_when_all_is_safe(bench: Bench) -> None:
    bench.ask("at once")
    assert (bench.answers, bench.log.begun) == ({"at once": None}, 0)


async def test_a_failed_sync_is_never_tried_again_and_everybody_who_waits_is_told(bench: Bench) -> None:
    bench.syncer.committed(1)
    bench.ask("running")
    await bench.begun(1)
    bench.syncer.committed(1)
    bench.ask("waiting")
    bench.ask("waiting too")
    bench.log.error = OSError(errno.EIO, "the disk is gone")
    await bench.ended(1)
    bench.log.error = None  # the next one would seem to succeed: the kernel has forgotten the pages
    assert bench.answers == dict.fromkeys(("running", "waiting", "waiting too"), bench.failures[0])
    assert len(bench.failures) == 1
    bench.syncer.committed(1)
    bench.ask("later")
    assert bench.answers["later"] is bench.failures[0]
    bench.syncer._due()
    assert bench.log.begun == 1


async def test_after_the_store_has_recovered_syncs_count_again(bench: Bench) -> None:
    bench.syncer.committed(1)
    bench.ask("lost")
    await bench.begun(1)
    bench.log.error = OSError(errno.EIO, "once")
    await bench.ended(1)
    bench.log.error = None
    bench.syncer.recovered()
    bench.syncer.committed(1)
    bench.ask("safe")
    await bench.begun(2)
    assert "safe" not in bench.answers
    await bench.ended(2)
    assert bench.answers == {"lost": bench.failures[0], "safe": None}


async def test_what_nobody_asks_for_is_synced_within_the_interval(bench: Bench) -> None:
    bench.syncer.committed(1)
    assert bench.syncer._timer is not None
    bench.syncer._due()  # as the timer would
    await bench.begun(1)
    await bench.ended(1)
    assert bench.syncer._timer is None


async def test_a_job_that_leaves_waits_for_the_sync_that_began_after_its_commit(bench: Bench) -> None:
    bench.commit()
    bench.ask("first")
    await bench.begun(1)
    late = bench.syncer.on_disk(bench.commit())
    await bench.ended(1)
    assert not late.done()
    bench.ask("second")
    await bench.begun(2)
    await bench.ended(2)
    await soon(late)


async def test_a_job_that_leaves_is_told_when_the_sync_fails(bench: Bench) -> None:
    waiting = bench.syncer.on_disk(bench.commit())
    bench.log.error = OSError(errno.EIO, "the disk is gone")
    bench.ask("first")
    await bench.begun(1)
    await bench.ended(1)
    with pytest.raises(OSError, match="the disk is gone"):
        await soon(waiting)
    with pytest.raises(OSError, match="the disk is gone"):
        await soon(bench.syncer.on_disk(bench.commit()))
