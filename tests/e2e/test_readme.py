"""What the README shows works: its program runs, its configuration loads, its links lead somewhere."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from hubqueue.cli.group import COMMANDS
from hubqueue.config.load import load
from hubqueue.work import loading
from support.hub_process import clean_environment

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
GUIDES = sorted((ROOT / "docs").rglob("*.md"))


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_the_embedded_program_runs(tmp_path: Path) -> None:
    (program,) = [block for block in blocks("python") if "asyncio.run" in block]
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "sent to ada\n"), done.stderr


def test_the_handler_loads(tmp_path: Path) -> None:
    (program,) = [block for block in blocks("python") if "@task" in block]
    (tmp_path / "lights.py").write_text(program)
    loaded = loading.load(tmp_path)
    assert [task.name for task in loaded.registry] == ["switch"]
    assert not loaded.problems


def test_the_configuration_loads(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "central").write_text("token")
    file = tmp_path / "hubqueue.yaml"
    file.write_text("".join(blocks("yaml")))
    config = load(file, environ={})
    assert config.mqtt is not None
    assert len(config.forwarders) == 1


@pytest.mark.parametrize("page", [ROOT / "README.md", *GUIDES], ids=lambda page: page.name)
def test_links_lead_to_files(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []


def test_every_command_that_is_shown_exists() -> None:
    pages = "\n".join(
        page.read_text(encoding="utf-8") for page in (ROOT / "README.md", ROOT / "docs" / "operations.md")
    )
    shown = set(re.findall(r"hubqueue ([a-z]+(?:-[a-z]+)*)", pages)) - {"run"}
    commands = {word for word in shown if f"`hubqueue {word}" in pages or f"\nhubqueue {word}" in pages}
    assert commands - set(COMMANDS) == set()
    assert len(commands) > 8
