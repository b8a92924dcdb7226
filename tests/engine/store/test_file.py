"""One hub per file, and only on files that are ours."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from hubqueue.errors import AlreadyOpen, DamagedFile, NewerFile, StoreError
from hubqueue.hub.hub import Hub
from hubqueue.model.job import NewJob
from hubqueue.store.schema import VERSION
from support.child import Refused, puppet


async def test_a_second_hub_on_the_same_file_is_refused_with_the_pid_of_the_first(tmp_path: Path) -> None:
    async with puppet(tmp_path / "hub.db") as told:
        with pytest.raises(AlreadyOpen, match=rf"already open by pid {told.child.pid}\b") as refused:
            await Hub.open(tmp_path / "hub.db")
        assert "stop it first" in refused.value.hint
        await told("enqueue", [1], False, 10)  # the first one is not disturbed


async def test_a_second_hub_in_the_same_process_is_refused_too(tmp_path: Path) -> None:
    async with await Hub.open(tmp_path / "hub.db") as hub:
        with pytest.raises(AlreadyOpen, match=f"pid {os.getpid()}"):
            await Hub.open(tmp_path / "hub.db")
        await hub.enqueue("q", [NewJob()])
    async with await Hub.open(tmp_path / "hub.db") as hub:
        assert (await hub.counts("q")).waiting == 1


async def test_the_lock_is_free_once_its_holder_is_killed(tmp_path: Path) -> None:
    async with puppet(tmp_path / "hub.db") as told:
        await told("enqueue", [1], False, 10)
        told.child.kill()
        await told.child.ended()
    async with puppet(tmp_path / "hub.db") as told:
        assert await told("numbers") == {"waiting": [1]}


async def test_a_file_of_a_newer_version_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    async with await Hub.open(path) as hub:
        await hub.enqueue("q", [NewJob()])
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version = {VERSION + 1}")
    db.close()
    before = path.read_bytes()
    with pytest.raises(NewerFile, match=f"schema {VERSION + 1}"):
        await Hub.open(path)
    assert path.read_bytes() == before


def _names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


async def test_what_is_no_database_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("milk, bread, butter\n" * 200)
    before = path.read_bytes()
    with pytest.raises(DamagedFile, match="not a job file"):
        await Hub.open(path)
    assert path.read_bytes() == before
    assert _names(tmp_path) == ["notes.txt", "notes.txt.lock"]


@pytest.mark.parametrize("mode", ["delete", "wal"])
async def test_an_sqlite_file_of_another_program_is_refused_and_left_as_it_is(mode: str, tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA journal_mode = {mode}")
    db.execute("CREATE TABLE job (id INTEGER)")
    db.commit()
    db.close()
    before = path.read_bytes()
    with pytest.raises(DamagedFile, match="another program"):
        await Hub.open(path)
    assert path.read_bytes() == before


async def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "hub.db"
    async with await Hub.open(path) as hub:
        await hub.enqueue("q", [NewJob()])
    with path.open("r+b") as file:
        file.seek(100)  # the root page of the schema, behind the file's header
        file.write(b"\xff" * 400)
    with pytest.raises(DamagedFile) as refused:
        await Hub.open(path)
    assert "backup" in refused.value.hint


async def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="nowhere"):
        await Hub.open(tmp_path / "nowhere" / "hub.db")


async def test_the_file_stays_open_after_refusing_others_in_a_row(tmp_path: Path) -> None:
    """Refusals must not close a descriptor of the live file: SQLite's locks would go with it."""
    path = tmp_path / "hub.db"
    async with await Hub.open(path) as hub:
        for n in range(20):
            with pytest.raises(AlreadyOpen):
                await Hub.open(path)
            await hub.enqueue("q", [NewJob(name=f"n{n}")])
        other = sqlite3.connect(path, timeout=0)
        assert other.execute("SELECT count(*) FROM job").fetchone() == (20,)
        other.close()
        await hub.enqueue("q", [NewJob()])
        assert (await hub.counts("q")).waiting == 21
    async with puppet(path) as told:
        assert await told("miscounted") == []


async def test_a_refused_open_can_be_tried_again_at_once(tmp_path: Path) -> None:
    with pytest.raises(Refused, match="store_error"):
        async with puppet(tmp_path / "none" / "hub.db"):
            pass
    (tmp_path / "none").mkdir()
    async with puppet(tmp_path / "none" / "hub.db") as told:
        await told("close")


async def test_nobody_else_may_read_the_file_its_log_or_a_backup(tmp_path: Path) -> None:
    def rights() -> dict[str, str]:
        return {path.name: oct(path.stat().st_mode & 0o777) for path in tmp_path.iterdir()}

    former = os.umask(0)
    try:
        async with await Hub.open(tmp_path / "hub.db") as hub:
            await hub.enqueue("q", [NewJob()])
            await hub.backup(tmp_path / "copy.db")
            assert {"hub.db", "hub.db-wal", "hub.db-shm", "copy.db"} <= set(rights())
            assert set(rights().values()) == {"0o600"}
        (tmp_path / "hub.db").chmod(0o644)
        async with await Hub.open(tmp_path / "hub.db"):
            assert rights()["hub.db"] == "0o600"
    finally:
        os.umask(former)
