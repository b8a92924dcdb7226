"""Runs a program of tests/e2e/clients under Bun with bunqueue's TypeScript client, and reads what it saw."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, Final

from support.bunqueue import bun, install

PROGRAMS: Final = Path(__file__).parents[1] / "e2e" / "clients"
PROGRAM_S: Final = 60


def link_client(folder: Path) -> None:
    """A new folder in which `import 'bunqueue/client'` works."""
    folder.mkdir()
    (folder / "node_modules").symlink_to(install() / "node_modules")


def start_program(name: str, folder: Path, *arguments: object) -> subprocess.Popen[str]:
    """It runs in `folder`, which is new; its input and output are pipes."""
    link_client(folder)
    for source in PROGRAMS.glob("*.mjs"):
        (folder / source.name).write_text(source.read_text())
    return subprocess.Popen(
        [bun(install()), name, *map(str, arguments)],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def what_it_saw(program: subprocess.Popen[str], told: str = "") -> dict[str, Any]:
    """The JSON object it prints last, once it has ended."""
    with program:
        try:
            output, errors = program.communicate(told, timeout=PROGRAM_S)
        except subprocess.TimeoutExpired:
            program.kill()
            raise
    assert program.returncode == 0, errors
    seen: dict[str, Any] = json.loads(output.splitlines()[-1])
    return seen


def run_program(name: str, folder: Path, *arguments: object) -> dict[str, Any]:
    """Start it, and wait for what it saw."""
    return what_it_saw(start_program(name, folder, *arguments))
