"""Rule 46, P10: a full disk heals by itself. Filled and emptied again and again, on one hub, without a restart."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from hubqueue.store.reserve import RESERVE_BYTES
from support.child import Puppet, Refused, puppet
from support.disk import small
from support.torture import sized
from support.waiting import until

MEGABYTES = 28
ROUNDS = sized(ci=1, full=10)
# what is done to all jobs until none is left
DEEDS = (("drain",), ("clean",), ("discard", "purge", "drain"), ("obliterate",), ("discard", "retry", "drain", "purge"))


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    with small(tmp_path / "disk", MEGABYTES) as folder:
        yield folder


async def _fill(told: Puppet, job_bytes: int) -> int:
    """Enqueue until the disk is full and stays so; how many jobs were taken."""
    batch = max(1, 400_000 // job_bytes)
    taken = 0
    async with asyncio.timeout(60):
        while True:
            try:
                await told("enqueue", list(range(taken, taken + batch)), False, job_bytes)
            except Refused as refused:
                if refused.code != "disk_full":
                    raise
                if await told("full"):
                    return taken
            else:
                taken += batch


async def _is_back(told: Puppet) -> bool:
    return not await told("full")


@pytest.mark.parametrize("job_bytes", [100_000, 8_000])
async def test_a_disk_is_filled_and_emptied_again_and_again(folder: Path, job_bytes: int) -> None:
    async with puppet(folder / "hub.db") as told:
        filled: list[int] = []
        for deeds in DEEDS * ROUNDS:
            filled.append(await _fill(told, job_bytes))
            states = await told("numbers")
            assert {state: len(jobs) for state, jobs in states.items()} == {"waiting": filled[-1]}
            gone = 0
            for deed in deeds:
                try:
                    count = await told("bulk", deed)
                except Refused as refused:  # dead letters need more room than jobs do: what frees it goes on
                    if refused.code != "disk_full" or deed not in {"discard", "retry"}:
                        raise
                else:
                    gone += count if deed in {"drain", "clean", "purge", "obliterate"} else 0
            assert gone == filled[-1]
            await until(lambda: _is_back(told))
            assert await told("numbers") == {}
            assert await told("miscounted") == []
        # the disk holds as much as it did the first time, but for what a batch more or less is
        assert min(filled) > 0.7 * filled[0] > 0.7 * (MEGABYTES - 15) * 1_000_000 / job_bytes


@pytest.mark.parametrize("deed", ["drain", "clean", "obliterate"])
async def test_a_hub_killed_while_it_empties_a_full_disk_goes_on(folder: Path, deed: str) -> None:
    async with puppet(folder / "hub.db") as told:
        filled = await _fill(told, 8_000)
        told.child.say(["bulk", deed])
        log = folder / "hub.db-wal"
        before = log.stat()
        await until(lambda: log.stat().st_mtime_ns != before.st_mtime_ns)  # it is in the middle, or done
        told.child.kill()
        await told.child.ended()
    async with puppet(folder / "hub.db") as told:
        left = sum(len(jobs) for jobs in (await told("numbers")).values())
        assert left <= filled
        assert await told("miscounted") == []
        assert await told("bulk", "drain") == left
        await until(lambda: _is_back(told))
        assert await _fill(told, 8_000) > 0.7 * filled


async def test_on_a_disk_filled_to_the_last_byte_jobs_can_be_removed_and_nothing_is_lost(folder: Path) -> None:
    async with puppet(folder / "hub.db") as told:
        filled = await _fill(told, 100_000)
        space = os.statvfs(folder)
        (folder / "other-file").write_bytes(bytes(space.f_bavail * space.f_frsize))
        assert set((await told("numbers"))["waiting"]) == set(range(filled))
        assert await told("bulk", "drain") == filled
        await until(lambda: _is_back(told))
        assert (folder / "hub.db.reserve").stat().st_size == RESERVE_BYTES
        await told("enqueue", [1], True, 10)


async def test_while_another_program_reads_the_file_the_error_says_so_and_afterwards_it_heals(folder: Path) -> None:
    async with puppet(folder / "hub.db") as told:
        with closing(sqlite3.connect(folder / "hub.db", isolation_level=None)) as reader:
            await told("enqueue", [0], True, 10)
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM job").fetchone()
            filled = 1 + await _fill(told, 8_000)

            async def says_who() -> bool:
                with pytest.raises(Refused) as refused:
                    await told("enqueue", [-1], True, 10)
                return "another program that reads the job file" in str(refused.value)

            await until(says_who)
            gone = 0
            try:
                gone = await told("bulk", "drain")
            except Refused as refused:  # the log grows with what is deleted, until the reserve is used up too
                if refused.code != "disk_full":
                    raise
            left = sum(len(jobs) for jobs in (await told("numbers")).values())
            assert gone in {0, filled - left}
            assert await told("miscounted") == []
        await told("bulk", "drain")
        await until(lambda: _is_back(told))
        assert await told("numbers") == {}
        assert await _fill(told, 8_000) > 0


async def test_a_batch_that_does_not_fit_is_refused_alone(folder: Path) -> None:
    ballast = folder / "other-file"
    async with puppet(folder / "hub.db") as told:
        space = os.statvfs(folder)
        ballast.write_bytes(bytes(space.f_bavail * space.f_frsize - 14 * 1024 * 1024))
        with pytest.raises(Refused, match="disk_full"):
            await told("enqueue", [1, 2, 3, 4], False, 2_000_000)
        await told("enqueue", [5], False, 100_000)
        assert await told("numbers") == {"waiting": [5]}
        assert (folder / "hub.db.reserve").stat().st_size == RESERVE_BYTES
