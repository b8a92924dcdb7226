"""The programs of docs/clients.md run as they are printed; only the port of their hub is another."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from support.bun_program import PROGRAM_S, link_client
from support.bunqueue import bun, install
from support.hub_process import HubProcess

PAGE = (Path(__file__).parents[2] / "docs" / "clients.md").read_text(encoding="utf-8")


def program(language: str, hub: HubProcess) -> str:
    (text,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert "6789" in text
    return str(text).replace("6789", str(hub.port))


def run(command: list[str | Path], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=PROGRAM_S, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_typescript_program_runs(tmp_path: Path) -> None:
    link_client(tmp_path / "client")
    with HubProcess(tmp_path) as hub:
        (tmp_path / "client" / "page.mjs").write_text(program("js", hub))
        assert run([bun(install()), "page.mjs"], tmp_path / "client") == "sent to ada\n"


def test_the_python_program_runs(tmp_path: Path) -> None:
    with HubProcess(tmp_path) as hub:
        assert run([sys.executable, "-c", program("python", hub)], tmp_path) == "sent to ada\n"
