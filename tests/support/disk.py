"""Disks as tests need them: full, slow, broken, or losing power. Needs root and gcc; what is missing fails."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

SHIM: Final = Path(__file__).with_name("disk.c")


def shim(folder: Path, *, delay_ms: int = 0, fault: Path | None = None, waited: Path | None = None) -> dict[str, str]:
    """The environment of a process whose syncs are slow, or fail while the file `fault` exists (see disk.c).

    waited: a file that holds a byte for each sync that its main thread waited for.
    """
    library = folder / "disk.so"
    if not library.exists():
        _run("gcc", "-O2", "-shared", "-fPIC", "-o", library, SHIM, "-ldl")
    env = {"LD_PRELOAD": str(library), "DISK_DELAY_MS": str(delay_ms)}
    if fault is not None:
        env["DISK_FAULT"] = str(fault)
    if waited is not None:
        waited.touch()
        env["DISK_WAITED"] = str(waited)
    return env


@contextmanager
def small(folder: Path, megabytes: int) -> Iterator[Path]:
    """A file system of that size."""
    folder.mkdir()
    _run("mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", folder)
    try:
        yield folder
    finally:
        _unmount(folder)


def fill(folder: Path) -> Path:
    """Take all the room there is, by a file; delete it to give the room back."""
    filler = folder / "filler"
    with filler.open("wb") as file, suppress(OSError):
        while True:
            os.write(file.fileno(), bytes(4096))
    return filler


class Powered:
    """A real file system on a loop device, whose power can be cut: what was not synced is then lost."""

    def __init__(self, folder: Path, kind: str, megabytes: int = 400) -> None:
        self._folder = folder
        self._image = folder / f"{kind}.img"
        self._lives = 0
        self._kind = kind
        self.mount = folder / kind
        self.mount.mkdir()
        with self._image.open("wb") as image:
            image.truncate(megabytes * 1024 * 1024)
        _run(f"mkfs.{kind}", "-q", self._image)

    @contextmanager
    def on(self) -> Iterator[Path]:
        """The mounted folder, with all that survived. Unmounted at the end, whatever happens.

        Each time from a copy: a container that was started meanwhile may hold the file system that was stopped, and
        the kernel would give that one again to whoever mounts the same image.
        """
        self._lives += 1
        before, self._image = self._image, self._folder / f"{self._kind}-{self._lives}.img"
        _run("cp", "--sparse=always", before, self._image)
        before.unlink()
        options = "loop,nouuid" if self._kind == "xfs" else "loop"
        _run("mount", "-t", self._kind, "-o", options, self._image, self.mount)
        try:
            yield self.mount
        finally:
            _unmount(self.mount)

    def cut(self) -> float:
        """Nothing reaches the disk any more, not even the file system's own log. The (monotonic) time just before."""
        at_s = time.monotonic()
        _run("xfs_io", "-x", "-c", "shutdown", self.mount)
        return at_s


def _unmount(folder: Path) -> None:
    for _ in range(50):
        if subprocess.run(["umount", folder], capture_output=True, check=False).returncode == 0:
            return
        time.sleep(0.1)  # a killed process may still hold its files
    _run("umount", "-l", folder)


def _run(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(map(str, command))}: {done.stderr.strip()}"
