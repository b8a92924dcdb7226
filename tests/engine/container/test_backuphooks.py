"""The job file over stops, backups and restores of Home Assistant."""

from __future__ import annotations

import shutil
from pathlib import Path

from hubqueue.container.backuphooks import drop_copy, lay_to_rest, put_copy, wake
from hubqueue.container.layout import FILE, Layout
from hubqueue.hub.hub import Hub
from hubqueue.hub.settings import HubSettings
from hubqueue.model.job import NewJob
from support.supervisor import back_up, put_back


async def enqueue(layout: Layout) -> str:
    """One job in the live file: its id."""
    async with await Hub.open(layout.live / FILE, HubSettings()) as hub:
        (id,) = await hub.enqueue("q", [NewJob(data=b"\xc0")])
        return id


def seq(id: str) -> int:
    return int(id.rpartition("-")[2])


async def test_a_stop_and_a_start_change_nothing(tmp_path: Path) -> None:
    layout = Layout(data=tmp_path)
    wake(layout)
    first = await enqueue(layout)
    lay_to_rest(layout)
    assert not layout.live.exists()
    wake(layout)
    second = await enqueue(layout)
    assert 0 < seq(second) - seq(first) < 10**9


async def test_a_crash_leaves_the_file_where_it_was(tmp_path: Path) -> None:
    layout = Layout(data=tmp_path)
    wake(layout)
    first = await enqueue(layout)
    wake(layout)
    assert 0 < seq(await enqueue(layout)) - seq(first) < 10**9


async def test_a_copy_that_came_back_is_restored_and_ids_jump(tmp_path: Path) -> None:
    layout, after = Layout(data=tmp_path / "one"), Layout(data=tmp_path / "two")
    for each in (layout, after):
        each.data.mkdir()
    wake(layout)
    first = await enqueue(layout)
    async with await Hub.open(layout.live / FILE, HubSettings()) as hub:
        await hub.backup(layout.live / "written.db")
        put_copy(layout, layout.live / "written.db")
        taken = back_up(layout.data)
        drop_copy(layout)
    assert set(taken) == {f"copy/{FILE}"}
    put_back(taken, after.data)
    wake(after)
    assert not after.copy.parent.exists()
    assert seq(await enqueue(after)) > seq(first) + 10**11


async def test_what_a_stopped_app_had_comes_back_and_ids_jump(tmp_path: Path) -> None:
    layout, after = Layout(data=tmp_path / "one"), Layout(data=tmp_path / "two")
    for each in (layout, after):
        each.data.mkdir()
    wake(layout)
    first = await enqueue(layout)
    lay_to_rest(layout)
    put_back(back_up(layout.data), after.data)
    wake(after)
    assert not after.rest.exists()
    assert seq(await enqueue(after)) > seq(first) + 10**11


async def test_a_copy_left_by_a_backup_that_was_cut_off_is_not_restored(tmp_path: Path) -> None:
    layout = Layout(data=tmp_path)
    wake(layout)
    first = await enqueue(layout)
    shutil.copyfile(layout.live / FILE, layout.data / "written.db")
    put_copy(layout, layout.data / "written.db")
    wake(layout)
    assert not layout.copy.parent.exists()
    assert 0 < seq(await enqueue(layout)) - seq(first) < 10**9


async def test_a_restore_that_was_cut_off_is_done_again(tmp_path: Path) -> None:
    layout = Layout(data=tmp_path)
    wake(layout)
    first = await enqueue(layout)
    lay_to_rest(layout)
    layout.here.unlink()  # as it comes from a backup
    shutil.copytree(layout.rest, tmp_path / "again")
    wake(layout)
    (tmp_path / "again").rename(layout.rest)
    layout.here.unlink()  # the power went before the marker was on the disk
    wake(layout)
    assert seq(await enqueue(layout)) > seq(first) + 10**11
