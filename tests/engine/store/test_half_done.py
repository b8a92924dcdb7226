"""Rule 4, what is easily overlooked of a group: memory beside the file, parts taken back, errors before the commit."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from hubqueue.errors import Duplicate, StoreError
from hubqueue.hub.hub import Hub
from hubqueue.hub.verbs import throttle
from hubqueue.hub.verbs.enqueue import enqueue
from hubqueue.hub.verbs.lease import lease
from hubqueue.model.job import NewJob, Options
from hubqueue.model.throttle import Pull, Rate
from hubqueue.store import metrics
from hubqueue.store.tx import Tx
from support.waiting import until

MINUTE_MS = 60_000


def io_error(tx: Tx) -> None:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR
    raise error


def defect(tx: Tx) -> None:
    raise KeyError("of a verb")


async def together(hub: Hub, *verbs: Any) -> list[Any]:
    """Their answers, of one group."""
    answers: list[Any] = []
    for verb in verbs:
        hub.submit(verb, answers.append)
    await until(lambda: len(answers) == len(verbs))
    return answers


async def test_what_a_verb_wrote_before_its_savepoint_is_taken_back_with_it(tmp_path: Path) -> None:
    def half(tx: Tx) -> None:
        enqueue(tx, "a", [NewJob()])
        enqueue(tx, "b", [NewJob(custom_id="mine")])

    async with await Hub.open(tmp_path / "hub.db") as hub:
        await hub.enqueue("q", [NewJob(custom_id="mine")])
        refused, kept = await together(hub, half, lambda tx: enqueue(tx, "c", [NewJob()]))
        assert isinstance(refused, Duplicate)
        assert len(kept) == 1
        assert (await hub.counts("a")).waiting == 0


async def test_wrong_sql_of_what_a_commit_tells_costs_no_job(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def tells(tx: Tx) -> str:
        with tx.apart("Telling"):
            tx.execute("INSERT INTO meta (key, value) SELECT key, value FROM meta")
        return enqueue(tx, "q", [NewJob()])[0]

    async with await Hub.open(tmp_path / "hub.db") as hub:
        assert await hub.run(tells)
        assert (await hub.counts("q")).waiting == 1
        assert "Telling failed: a defect" in caplog.text


async def test_an_error_of_the_disk_is_logged_whoever_is_not_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with await Hub.open(tmp_path / "hub.db") as hub:
        (answer,) = await together(hub, io_error)
        assert isinstance(answer, StoreError)
        assert "was given up. error=disk I/O error" in caplog.text


async def test_windows_and_blocks_of_groups_are_put_back_with_their_group(tmp_path: Path) -> None:
    async with await Hub.open(tmp_path / "hub.db") as hub:
        await hub.enqueue("q", [NewJob(options=Options(group="g")) for _ in range(4)])
        slow = Pull(rate=Rate(1, MINUTE_MS))
        assert len(await hub.run(lambda tx: lease(tx, "q", 4, "w", MINUTE_MS, slow))) == 1
        await together(hub, lambda tx: throttle.set_group_rate(tx, "q", "g", Rate(5, MINUTE_MS)), io_error)
        assert await hub.run(lambda tx: lease(tx, "q", 4, "w", MINUTE_MS, slow)) == []
        await together(hub, lambda tx: throttle.block_group(tx, "q", "g", MINUTE_MS), io_error)
        assert len(await hub.run(lambda tx: lease(tx, "q", 4, "w", MINUTE_MS))) == 3


@pytest.mark.parametrize("beside", [(), (defect,)], ids=["alone", "beside a defect"])
async def test_what_the_history_reads_counts_once(beside: tuple[Any, ...], tmp_path: Path) -> None:
    async with await Hub.open(tmp_path / "hub.db") as hub:
        await hub.enqueue("q", [NewJob()])
        row, minute = hub.store.queues.find("q"), hub.now_ms() // MINUTE_MS - 5
        assert row is not None
        await hub.run(lambda tx: metrics.add(tx, [(row.id, metrics.COMPLETED, minute, 60)]))
        hub._history._slots = []
        hub._history._tracks.clear()
        beginning = asyncio.ensure_future(hub._history._begin(hub.now_ms() // 1000))
        await asyncio.sleep(0)  # its verb has run in a group that is open still
        for verb in beside:
            hub.submit(verb, lambda answer: None)
        await beginning
        assert max(each for each in hub._history.past("1h", "q").completed if each is not None) == pytest.approx(1.0)
