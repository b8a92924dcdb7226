"""Rule 1: what is durable is answered after the disk has it; a sync that fails is never just retried."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.child import Puppet, Refused, puppet
from support.disk import shim
from support.waiting import until


async def _taken(told: Puppet, n: int) -> bool:
    try:
        await told("enqueue", [n], True, 10)
    except Refused:
        return False
    return True


async def test_after_a_failed_sync_the_file_is_checked_and_the_hub_goes_on(tmp_path: Path) -> None:
    fault = tmp_path / "fault"
    async with puppet(tmp_path / "hub.db", shim(tmp_path, fault=fault)) as told:
        await told("enqueue", [1], True, 10)
        fault.write_text("once")
        with pytest.raises(Refused, match="store_error"):
            await told("enqueue", [2], True, 10)
        assert not fault.exists()
        await until(lambda: _taken(told, 3))
        assert {1, 3} <= set((await told("numbers"))["waiting"])
        assert await told("miscounted") == []
        await told("close")
    async with puppet(tmp_path / "hub.db") as told:
        assert {1, 3} <= set((await told("numbers"))["waiting"])


async def test_while_the_disk_takes_nothing_every_verb_is_refused(tmp_path: Path) -> None:
    fault = tmp_path / "fault"
    async with puppet(tmp_path / "hub.db", shim(tmp_path, fault=fault)) as told:
        await told("enqueue", [1], True, 10)
        await told("enqueue", [2], False, 10)
        fault.write_text("always")
        with pytest.raises(Refused, match="store_error"):
            await told("enqueue", [3], True, 10)
        for _ in range(3):
            with pytest.raises(Refused, match="store_error"):
                await told("enqueue", [4], False, 10)
            with pytest.raises(Refused, match="store_error"):
                await told("enqueue", [4], True, 10)
        await told("close")  # lets go of the file all the same
    fault.unlink()
    async with puppet(tmp_path / "hub.db") as told:
        found = (await told("numbers"))["waiting"]
        assert {1, 2} <= set(found)
        assert 4 not in found
        assert await told("miscounted") == []


async def test_a_sync_error_says_that_the_job_may_have_been_stored(tmp_path: Path) -> None:
    fault = tmp_path / "fault"
    async with puppet(tmp_path / "hub.db", shim(tmp_path, fault=fault)) as told:
        fault.write_text("always")
        with pytest.raises(Refused) as refused:
            await told("enqueue", [1], True, 10)
        assert "may have been stored" in refused.value.hint
    fault.unlink()
    async with puppet(tmp_path / "hub.db") as told:
        assert (await told("numbers"))["waiting"] == [1]


async def test_the_interval_syncs_what_nobody_waits_for(tmp_path: Path) -> None:
    fault = tmp_path / "fault"
    async with puppet(tmp_path / "hub.db", shim(tmp_path, fault=fault), sync_interval_s=0.05) as told:
        fault.write_text("once")
        await told("enqueue", [1], False, 10)
        await until(lambda: not fault.exists())  # the shim takes it away when a sync comes
