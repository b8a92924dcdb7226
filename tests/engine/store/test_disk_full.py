"""P10: a really full file system. Enqueue says so; what was accepted stays, ends, and makes room; service resumes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.child import Puppet, Refused, puppet
from support.disk import small
from support.waiting import in_time, until

MEGABYTES = 64
JOB_BYTES = 8_000
BATCH = 50


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    with small(tmp_path / "disk", MEGABYTES) as folder:
        yield folder


async def _fill(told: Puppet, first: int = 0) -> set[int]:
    """Enqueue until the disk is full; the numbers that were taken."""
    taken: set[int] = set()
    async with in_time():
        while True:
            ns = list(range(first + len(taken), first + len(taken) + BATCH))
            try:
                await told("enqueue", ns, len(taken) % 3 == 0, JOB_BYTES)
            except Refused as refused:
                if refused.code != "disk_full":
                    raise
                return taken
            taken.update(ns)


async def _takes(told: Puppet, n: int) -> bool:
    try:
        await told("enqueue", [n], False, 10)
    except Refused as refused:
        if refused.code != "disk_full":
            raise
        return False
    return True


async def test_a_full_disk_refuses_new_jobs_and_takes_them_again_when_there_is_space(folder: Path) -> None:
    ballast = folder / "other-file"
    ballast.write_bytes(bytes(24 * 1024 * 1024))
    async with puppet(folder / "hub.db") as told:
        taken = await _fill(told)
        assert len(taken) > 500
        with pytest.raises(Refused) as refused:
            await told("enqueue", [-1], False, 10)
        assert (refused.value.code, "free some space" in refused.value.hint) == ("disk_full", True)
        assert set((await told("numbers"))["waiting"]) == taken
        leased = await told("lease", 40, 30_000)
        await told("release", leased[:20])
        await told("complete", leased[20:], True)
        assert await told("miscounted") == []
        ballast.unlink()
        await until(lambda: _takes(told, 1_000_000))
        taken.add(1_000_000)
        await told("enqueue", [1_000_001], True, JOB_BYTES)
        found = await told("numbers")
        assert {n for ns in found.values() for n in ns} == taken | {1_000_001}
        assert len(found["completed"]) == 20
        assert await told("miscounted") == []


async def test_finishing_jobs_makes_room_on_a_full_disk(folder: Path) -> None:
    async with puppet(folder / "hub.db") as told:
        taken = await _fill(told)
        ended = 0
        while leased := await told("lease", 100, 30_000):
            await told("complete", leased, False)
            ended += len(leased)
        assert ended == len(taken)
        assert set((await told("numbers"))["completed"]) == taken


async def test_a_hub_killed_on_a_full_disk_opens_again_with_all_it_accepted(folder: Path) -> None:
    async with puppet(folder / "hub.db") as told:
        taken = await _fill(told)
        told.child.kill()
        await told.child.ended()
    async with puppet(folder / "hub.db") as told:
        assert set((await told("numbers"))["waiting"]) == taken
        leased = await told("lease", 10, 30_000)
        await told("complete", leased, False)
        assert await told("miscounted") == []
        await told("close")


async def test_a_hub_stops_cleanly_on_a_full_disk(folder: Path) -> None:
    async with puppet(folder / "hub.db") as told:
        taken = await _fill(told)
        await told("close")
    async with puppet(folder / "hub.db") as told:
        assert set((await told("numbers"))["waiting"]) == taken


async def test_a_disk_without_any_space_is_named_at_the_start(folder: Path) -> None:
    async with puppet(folder / "hub.db") as told:
        await told("enqueue", [1], True, 10)
        await told("close")
    space = os.statvfs(folder)
    (folder / "other-file").write_bytes(bytes(space.f_bavail * space.f_frsize))
    with pytest.raises(Refused, match="disk_full"):
        async with puppet(folder / "hub.db"):
            pass
    (folder / "other-file").unlink()
    async with puppet(folder / "hub.db") as told:
        assert await told("numbers") == {"waiting": [1]}
