"""Big things that tests need, fetched once into the cache folder; two runs side by side fetch once."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

CACHE: Final = Path(os.environ.get("HUBQUEUE_CACHE") or Path.home() / ".cache" / "hubqueue")


def kept(name: str, make: Callable[[Path], Path]) -> Path:
    """The folder of this name. Where it is not there, what `make` made of an empty folder, the folder or one in it."""
    folder = CACHE / name
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            unfinished = Path(tempfile.mkdtemp(prefix=f"{name}-", dir=CACHE))
            try:
                make(unfinished).rename(folder)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
    return folder


def npm(folder: Path, packages: Mapping[str, str], *options: str) -> Path:
    """Install these versions there; the folder. Errors: RuntimeError."""
    (folder / "package.json").write_text(json.dumps({"private": True, "dependencies": dict(packages)}))
    command = ["npm", "install", "--ignore-scripts", *options, "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        wanted = " ".join(f"{name} {version}" for name, version in packages.items())
        raise RuntimeError(f"npm could not install {wanted}: {done.stderr.strip()}")
    return folder
