"""The source distribution of the Python client of bunqueue, for the tests that its authors ship in it.

`script/setup --tests` runs this module to fetch ahead (`python -m support.bunqueue_source` in tests/). A machine on
which that fails has a failing test, not a skipped one.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Final

from support.cached import kept

VERSION: Final = "0.1.5"
NAME: Final = f"bunqueue_client-{VERSION}"
SHA256: Final = "0d0291c635a69bcb8b7d928b1242e117eade60cb8e9089c572edaaab63aca78a"


def fetch() -> Path:
    """The unpacked folder, made in the cache if it is not there yet."""
    return kept(NAME, _download)


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
