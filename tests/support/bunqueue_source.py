"""The source distribution of the Python client of bunqueue, for the tests that its authors ship in it.

`script/setup --tests` runs this module to fetch ahead (`python tests/support/bunqueue_source.py`). A machine on which
that fails has a failing test, not a skipped one.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Final

VERSION: Final = "0.1.5"
NAME: Final = f"bunqueue_client-{VERSION}"
SHA256: Final = "0d0291c635a69bcb8b7d928b1242e117eade60cb8e9089c572edaaab63aca78a"


def fetch() -> Path:
    """The unpacked folder, made in the cache if it is not there yet."""
    cache = Path(os.environ.get("HUBQUEUE_CACHE") or Path.home() / ".cache" / "hubqueue")
    folder = cache / NAME
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / f"{NAME}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            unfinished = Path(tempfile.mkdtemp(prefix="bunqueue-client-", dir=cache))
            try:
                _download(unfinished).rename(folder)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
    return folder


def _download(folder: Path) -> Path:
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:"]
    command += ["--disable-pip-version-check", "--dest", str(folder), f"bunqueue-client=={VERSION}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    archive = folder / f"{NAME}.tar.gz"
    if done.returncode or not archive.is_file():
        raise RuntimeError(f"pip could not download bunqueue-client {VERSION}: {done.stderr.strip()}")
    found = hashlib.sha256(archive.read_bytes()).hexdigest()
    if found != SHA256:
        raise RuntimeError(f"{archive.name} is not what was read when these tests were written: sha256 {found}")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    return folder / NAME


if __name__ == "__main__":
    fetch()
