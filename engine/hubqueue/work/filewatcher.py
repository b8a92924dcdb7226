"""Notice that a folder's Python files changed, by looking: one small scan a second, no inotify limits, any disk.

A change counts once two looks in a row see the same files, so that a half-written file is not loaded.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

Fingerprint = frozenset[tuple[str, int, int, int]]  # path, mtime in ns, bytes, inode
MAX_FILES = 2000  # a virtual environment by mistake in the folder must not cost a scan of all of it each second


def fingerprint(folder: Path) -> Fingerprint:
    """Every *.py file below the folder, with what changes when it is written. Empty when there is no folder."""
    found: set[tuple[str, int, int, int]] = set()
    for entry in _python_files(str(folder)):
        try:
            status = entry.stat()
        except FileNotFoundError:  # removed since the scan
            continue
        found.add((entry.path, status.st_mtime_ns, status.st_size, status.st_ino))
        if len(found) == MAX_FILES:
            break
    return frozenset(found)


def _python_files(folder: str) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            listed = list(entries)
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return
    for entry in listed:
        if entry.name.startswith(".") or entry.name == "__pycache__":
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _python_files(entry.path)
        elif entry.name.endswith(".py"):
            yield entry


class FileWatcher:
    """Says, look by look, whether the folder differs from what was taken last."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.take()

    def take(self) -> None:
        """What is there now is known from here on."""
        self._taken = self._seen = fingerprint(self._folder)

    def changed(self) -> bool:
        """Whether there is something new, on which two looks agree."""
        now = fingerprint(self._folder)
        settled, self._seen = now == self._seen, now
        return settled and now != self._taken
