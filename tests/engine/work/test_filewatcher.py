"""A change is noticed when it has settled, until it is taken."""

from __future__ import annotations

import os
from pathlib import Path

from hubqueue.work.filewatcher import FileWatcher, fingerprint


def test_nothing_changed_is_not_a_change(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text("1")
    watch = FileWatcher(tmp_path)
    assert [watch.changed() for _ in range(3)] == [False, False, False]


def test_a_change_counts_once_two_looks_agree(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_text("1")
    watch = FileWatcher(tmp_path)
    file.write_text("22")
    assert not watch.changed()
    file.write_text("333")
    assert not watch.changed(), "still being written"
    assert watch.changed()
    assert watch.changed(), "until it is taken"
    watch.take()
    assert not watch.changed()


def test_going_back_to_what_was_there_before_is_a_change_too(tmp_path: Path) -> None:
    watch = FileWatcher(tmp_path)
    file = tmp_path / "a.py"
    file.write_text("1")
    watch.take()
    file.unlink()
    assert [watch.changed(), watch.changed()] == [False, True]


def test_a_rewrite_of_the_same_size_and_time_is_seen_when_the_file_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_text("1")
    before = file.stat()
    watch = FileWatcher(tmp_path)
    other = tmp_path / "a.tmp"
    other.write_text("2")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(file)
    assert [watch.changed(), watch.changed()] == [False, True]


def test_files_that_come_and_go_below_the_folder_are_changes(tmp_path: Path) -> None:
    watch = FileWatcher(tmp_path)
    (tmp_path / "lib").mkdir()
    inner = tmp_path / "lib" / "x.py"
    inner.write_text("")
    assert [watch.changed(), watch.changed()] == [False, True]
    watch.take()
    inner.unlink()
    assert [watch.changed(), watch.changed()] == [False, True]


def test_a_folder_that_appears_later_is_a_change(tmp_path: Path) -> None:
    folder = tmp_path / "handlers"
    watch = FileWatcher(folder)
    assert not watch.changed()
    folder.mkdir()
    (folder / "a.py").write_text("")
    assert [watch.changed(), watch.changed()] == [False, True]


def test_only_python_files_outside_caches_count(tmp_path: Path) -> None:
    for name in ("notes.txt", "__pycache__/a.py", ".venv/b.py", "c.pyc"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("")
    assert fingerprint(tmp_path) == frozenset()
