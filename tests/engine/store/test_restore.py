"""Rule 47: a restore overwrites nothing, whatever is restored over what, and what it leaves is for the hub only."""

from __future__ import annotations

import errno
import fcntl
import os
import shutil
import sqlite3
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from hubqueue.errors import DiskFull, HubqueueError, Invalid, StoreError
from hubqueue.hub.hub import Hub
from hubqueue.model.job import NewJob
from hubqueue.store import backup, private
from hubqueue.store.disk import DISK, Disk
from support.disk import small


async def _file(path: Path, name: str) -> Path:
    """A job file with one job of that name."""
    async with await Hub.open(path) as hub:
        await hub.enqueue("q", [NewJob(name=name, data=b"\xc5\x4e\x20" + bytes(20_000))])
    return path


def _name(path: Path) -> str:
    """The name of the job in a file."""
    with closing(sqlite3.connect(path)) as db:
        ((name,),) = db.execute("SELECT name FROM job").fetchall()
    return str(name)


def _listing(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {path.name: (path.read_bytes(), path.stat().st_nlink) for path in folder.iterdir() if path.suffix != ".lock"}


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def open_umask() -> object:
    before = os.umask(0)
    yield None
    os.umask(before)


@pytest.mark.usefixtures("open_umask")
async def test_all_originals_are_there_after_restoring_forth_and_back(tmp_path: Path) -> None:
    live = await _file(tmp_path / "hub.db", "original")
    a, b = await _file(tmp_path / "a.db", "a"), await _file(tmp_path / "b.db", "b")
    for path in (live, a, b):
        path.chmod(0o644)
    kept = [backup.restore(source, live) for source in (a, b, a)]
    assert [_name(path) for path in kept if path] == ["original", "a", "b"]
    assert _name(live) == "a"
    assert len(set(kept)) == 3
    assert all(path.name.startswith("hub.db.before-restore-2") for path in kept if path)
    assert {_mode(path) for path in (live, *kept) if path} == {0o600}
    assert live.stat().st_nlink == 1
    # back to what was first
    assert kept[0] is not None
    backup.restore(kept[0], live)
    assert _name(live) == "original"


@pytest.mark.usefixtures("open_umask")
async def test_files_are_private_from_their_first_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    live, source = await _file(tmp_path / "hub.db", "live"), await _file(tmp_path / "a.db", "a")
    seen: set[int] = set()
    real = shutil.copyfileobj

    def looking(*args: object) -> None:
        seen.update(_mode(path) for path in tmp_path.iterdir() if private.PART in path.name)
        real(*args)

    monkeypatch.setattr(shutil, "copyfileobj", looking)
    backup.restore(source, live)
    assert seen == {0o600}


async def test_ids_of_one_backup_that_is_restored_twice_never_meet(tmp_path: Path) -> None:
    live = tmp_path / "hub.db"
    source = await _file(tmp_path / "a.db", "a")
    given: list[str] = []
    for _ in range(3):
        backup.restore(source, live)
        async with await Hub.open(live) as hub:
            given += await hub.enqueue("q", [NewJob()] * 3)
    assert len(set(given)) == 9


async def test_what_a_crash_left_in_the_log_of_a_backup_is_restored_too(tmp_path: Path) -> None:
    live = tmp_path / "hub.db"
    source = tmp_path / "a.db"
    hub = await Hub.open(source)
    await hub.enqueue("q", [NewJob(name="in the log")])
    copied = tmp_path / "copied.db"
    for ending in ("", "-wal"):
        copied.with_name(copied.name + ending).write_bytes(source.with_name(source.name + ending).read_bytes())
    await hub.close()
    backup.restore(copied, live)
    assert _name(live) == "in the log"


async def test_a_log_without_its_file_is_kept_and_not_laid_over_the_backup(tmp_path: Path) -> None:
    live, source = tmp_path / "hub.db", await _file(tmp_path / "a.db", "a")
    log = tmp_path / "hub.db-wal"
    log.write_bytes(b"of a file that somebody deleted")
    kept = backup.restore(source, live)
    assert kept is not None
    assert kept.with_name(kept.name + "-wal").read_bytes() == b"of a file that somebody deleted"
    assert _name(live) == "a"


async def test_a_job_file_behind_a_link_is_restored_where_it_is(tmp_path: Path) -> None:
    (tmp_path / "ssd").mkdir()
    real = await _file(tmp_path / "ssd" / "hub.db", "live")
    source = await _file(tmp_path / "a.db", "a")
    link = tmp_path / "hub.db"
    link.symlink_to(real)
    kept = backup.restore(source, link)
    assert link.is_symlink()
    assert kept is not None
    assert (_name(real), _name(kept), kept.parent) == ("a", "live", real.parent)


async def test_the_job_file_is_no_backup_of_itself(tmp_path: Path) -> None:
    live = await _file(tmp_path / "hub.db", "live")
    (tmp_path / "link.db").symlink_to(live)
    for source in (live, tmp_path / "link.db"):
        with pytest.raises(Invalid, match="is the job file itself"):
            backup.restore(source, live)
    with pytest.raises(Invalid, match="is no file"):
        backup.restore(live, tmp_path)
    assert _name(live) == "live"


@pytest.mark.parametrize("damaged", [False, True])
@pytest.mark.parametrize("step", ["link", "rename", "fsync", "chmod"])
@pytest.mark.parametrize("number", range(3))
async def test_a_restore_that_fails_at_any_step_changes_nothing(
    tmp_path: Path, step: str, number: int, damaged: bool
) -> None:
    live, source = await _file(tmp_path / "hub.db", "live"), await _file(tmp_path / "a.db", "a")
    if damaged:
        with live.open("r+b") as file:
            file.write(b"\xff" * 100)
        (tmp_path / "hub.db-wal").write_bytes(b"a log that SQLite cannot read")
    before = _listing(tmp_path)
    disk = Disk()
    real: Callable[..., None] = getattr(disk, step)
    calls = 0

    def failing(*args: object, **options: object) -> None:
        nonlocal calls
        calls += 1
        if calls == number + 1:
            raise PermissionError(errno.EACCES, "Permission denied", str(args[0]))
        real(*args, **options)

    setattr(disk, step, failing)
    done = True
    try:
        backup.restore(source, live, disk)
    except StoreError:
        done = False
    if done:
        assert calls <= number
    elif step != "fsync" or live.read_bytes() == before["hub.db"][0]:  # or everything was done, only not synced
        assert _listing(tmp_path) == before


async def test_without_room_nothing_changes_and_the_error_says_why(tmp_path: Path) -> None:
    source = tmp_path / "a.db"
    async with await Hub.open(source) as hub:
        await hub.enqueue("q", [NewJob(data=b"\xc5\x4e\x20" + bytes(20_000))] * 1500)
    with small(tmp_path / "disk", 24) as folder:
        live = await _file(folder / "hub.db", "live")
        with pytest.raises(DiskFull, match="could not be restored: there is no space"):
            backup.restore(source, live)
        assert {path.name for path in folder.iterdir()} <= {"hub.db", "hub.db.lock"}
        assert _name(live) == "live"


class Linkless(Disk):
    """As FAT is."""

    def link(self, path: Path, name: Path) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")


async def test_a_file_system_without_links_gets_backups_and_restores_too(tmp_path: Path) -> None:
    live = tmp_path / "hub.db"
    async with await Hub.open(live, disk=Linkless()) as hub:
        await hub.enqueue("q", [NewJob(name="live")])
        await hub.backup(tmp_path / "a.db")
        with pytest.raises(Invalid, match="exists already"):
            await hub.backup(tmp_path / "a.db")
    kept = backup.restore(tmp_path / "a.db", live, Linkless())
    assert kept is not None
    assert (_name(live), _name(kept)) == ("live", "live")


async def test_a_backup_is_not_written_through_a_dangling_link(tmp_path: Path) -> None:
    (tmp_path / "a.db").symlink_to(tmp_path / "elsewhere")
    async with await Hub.open(tmp_path / "hub.db") as hub:
        with pytest.raises(HubqueueError, match="exists already"):
            await hub.backup(tmp_path / "a.db")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.usefixtures("open_umask")
def test_a_file_moved_to_another_disk_stays_private_and_overwrites_nothing(tmp_path: Path) -> None:
    written = tmp_path / "written.db"
    with small(tmp_path / "usb", 1) as usb:
        for name, found in ((usb / "mine.db", "mine.db"), (usb, "written.db")):
            written.write_bytes(b"jobs")
            written.chmod(0o600)
            assert private.move(written, name) == usb / found
            assert ((usb / found).read_bytes(), _mode(usb / found)) == (b"jobs", 0o600)
            assert not written.exists()
        written.write_bytes(b"other")
        with pytest.raises(FileExistsError):
            private.move(written, usb / "mine.db")
        assert ((usb / "mine.db").read_bytes(), written.read_bytes()) == (b"jobs", b"other")


def test_what_a_killed_backup_left_is_deleted_by_the_next_and_what_one_still_writes_is_not(tmp_path: Path) -> None:
    left, under_way = tmp_path / f".a.db.1{private.PART}", tmp_path / f".b.db.2{private.PART}"
    log = left.with_name(left.name + "-wal")
    foreign = tmp_path / ".download.part"
    for path in (left, log, under_way, foreign):
        path.write_bytes(b"half of it")
    with under_way.open("rb") as writing:
        fcntl.flock(writing, fcntl.LOCK_EX)
        with private.part_of(DISK, tmp_path / "c.db") as part, private.part_of(DISK, tmp_path / "d.db") as other:
            part.write_bytes(b"also under way")
            with private.part_of(DISK, tmp_path / "e.db"):
                pass
            assert sorted(tmp_path.iterdir()) == sorted([under_way, foreign, part, other])
    assert sorted(tmp_path.iterdir()) == sorted([under_way, foreign])
