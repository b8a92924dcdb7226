"""Runs a program of tests/e2e/clients under Bun with bunqueue's TypeScript client, and reads what it saw."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Final

from support.bunqueue import bun, install

PROGRAMS: Final = Path(__file__).parents[1] / "e2e" / "clients"
PROGRAM_S: Final = 60


def run_program(name: str, folder: Path, *arguments: object) -> dict[str, Any]:
    """The JSON object it prints last; `folder` is empty and its own."""
    installed = install()
    folder.mkdir()
    (folder / "node_modules").symlink_to(installed / "node_modules")
    for source in PROGRAMS.glob("*.mjs"):
        (folder / source.name).write_text(source.read_text())
    done = subprocess.run(
        [bun(installed), name, *map(str, arguments)],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=PROGRAM_S,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return seen
