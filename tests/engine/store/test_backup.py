"""Backups made beside running work, and their return. Rules 9, 10 and 15."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from hubqueue.client.local import LocalHub
from hubqueue.errors import AlreadyOpen, DamagedFile, Invalid
from hubqueue.hub.hub import Hub
from hubqueue.hub.settings import HubSettings
from hubqueue.model.job import NewJob
from hubqueue.store import backup, identity
from hubqueue.store.seqs import RESTORE_GAP
from support.load import QUEUE, Load
from support.mixed import miscounted
from support.waiting import until


def _seq(id: str) -> int:
    return int(id.rpartition("-")[2])


async def test_a_backup_made_under_load_is_whole_and_of_one_moment(tmp_path: Path) -> None:
    heard: list[list[object]] = []
    async with await LocalHub.open(tmp_path / "hub.db") as hub:
        load = asyncio.create_task(Load(hub, heard.append, 0, 1).run())
        try:
            for number in range(4):
                seen = len(heard)
                await until(lambda: len(heard) > seen + 50)  # noqa: B023
                size = await hub.backup(tmp_path / f"{number}.db")
                assert size == (tmp_path / f"{number}.db").stat().st_size > 0
        finally:
            load.cancel()
            await asyncio.gather(load, return_exceptions=True)
    for number in range(4):
        async with await Hub.open(tmp_path / f"{number}.db") as copy:
            assert await copy.run(miscounted) == []
            assert await copy.run(lambda tx: tx.execute("PRAGMA integrity_check").fetchall()) == [("ok",)]
            assert (await copy.list_jobs(QUEUE, limit=1)).jobs


async def test_a_restored_hub_has_the_jobs_and_never_uses_an_id_again(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    async with await Hub.open(path) as hub:
        before = await hub.enqueue("q", [NewJob(name="kept")])
        await hub.backup(tmp_path / "copy.db")
        lost = await hub.enqueue("q", [NewJob(name="lost")])
        who = hub.hub_id
    kept = backup.restore(tmp_path / "copy.db", path)
    assert kept is not None
    async with await Hub.open(path) as hub:
        assert hub.hub_id == who
        assert [job.name for job in (await hub.list_jobs("q")).jobs] == ["kept"]
        assert (await hub.get(before[0])).name == "kept"
        new = await hub.enqueue("q", [NewJob(name="new")])
        assert _seq(new[0]) >= _seq(lost[0]) + RESTORE_GAP - 1_000_000
    replaced = sqlite3.connect(kept)
    assert replaced.execute("SELECT name FROM job ORDER BY seq").fetchall() == [("kept",), ("lost",)]
    replaced.close()


async def test_restoring_over_an_open_file_is_refused_and_disturbs_nothing(tmp_path: Path) -> None:
    async with await Hub.open(tmp_path / "hub.db") as hub:
        await hub.enqueue("q", [NewJob()])
        await hub.backup(tmp_path / "copy.db")
        with pytest.raises(AlreadyOpen):
            backup.restore(tmp_path / "copy.db", tmp_path / "hub.db")
        await hub.enqueue("q", [NewJob()])
        assert (await hub.counts("q")).waiting == 2
    async with await Hub.open(tmp_path / "hub.db") as hub:
        assert (await hub.counts("q")).waiting == 2


@pytest.mark.parametrize("damage", ["no database", "damaged inside"])
async def test_a_backup_returns_in_the_place_of_a_damaged_file(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    async with await Hub.open(path) as hub:
        await hub.enqueue("q", [NewJob(data=bytes(5000)) for _ in range(50)])
        await hub.backup(tmp_path / "copy.db")
    with path.open("r+b") as file:
        file.seek(0 if damage == "no database" else 100)
        file.write(b"\xff" * 4000)
    kept = backup.restore(tmp_path / "copy.db", path)
    async with await Hub.open(path) as hub:
        assert (await hub.counts("q")).waiting == 50
    assert kept is not None
    assert b"\xff" * 3900 in kept.read_bytes()


async def test_a_backup_is_never_written_over_another_file(tmp_path: Path) -> None:
    (tmp_path / "copy.db").write_text("precious")
    async with await Hub.open(tmp_path / "hub.db") as hub:
        with pytest.raises(Invalid, match="exists already"):
            await hub.backup(tmp_path / "copy.db")
    assert (tmp_path / "copy.db").read_text() == "precious"


async def test_what_is_no_backup_is_not_restored(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    async with await Hub.open(path) as hub:
        await hub.enqueue("q", [NewJob()])
    (tmp_path / "text").write_text("hello")
    other = sqlite3.connect(tmp_path / "other.db")
    other.execute("CREATE TABLE t (x)")
    other.commit()
    other.close()
    for wrong in ("text", "other.db"):
        with pytest.raises(DamagedFile):
            backup.restore(tmp_path / wrong, path)
    with pytest.raises(Invalid, match="no file"):
        backup.restore(tmp_path / "nothing", path)
    async with await Hub.open(path) as hub:
        assert (await hub.counts("q")).waiting == 1


async def test_a_file_on_another_machine_gets_a_new_id_loudly_and_adopt_keeps_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "hub.db"
    machine = tmp_path / "machine-id"
    monkeypatch.setattr(identity, "MACHINE_ID", machine)
    machine.write_text("first\n")
    async with await Hub.open(path) as hub:
        old, (job,) = hub.hub_id, await hub.enqueue("q", [NewJob()])
    machine.write_text("second\n")
    async with await Hub.open(path) as hub:
        new = hub.hub_id
        assert new != old
        assert old in caplog.text
        assert new in caplog.text
        assert "adopt" in caplog.text
        assert (await hub.get(job)).id == job  # jobs keep the id they were announced with
        (later,) = await hub.enqueue("q", [NewJob()])
        assert later.startswith(new)
    async with await Hub.open(path, HubSettings(adopt=True)) as hub:
        assert hub.hub_id == old
        for id in (job, later):
            assert (await hub.get(id)).id == id
        assert hub.hub_id_of(_seq(later)) == new
        (last,) = await hub.enqueue("q", [NewJob()])
        assert last.startswith(old)
        assert len({job, later, last}) == 3
    async with await Hub.open(path) as hub:
        assert hub.hub_id == old


async def test_adopt_at_the_first_start_on_another_machine_keeps_the_id(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, machine = tmp_path / "hub.db", tmp_path / "machine-id"
    monkeypatch.setattr(identity, "MACHINE_ID", machine)
    machine.write_text("first\n")
    async with await Hub.open(path) as hub:
        old = hub.hub_id
    machine.write_text("second\n")
    async with await Hub.open(path, HubSettings(adopt=True)) as hub:
        assert hub.hub_id == old
    async with await Hub.open(path) as hub:
        assert hub.hub_id == old
