"""House rules of the repository that no linter knows: file names, sizes, versions, and nothing of one machine."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

import hubqueue

ROOT = Path(__file__).parents[1]
MAX_PYTHON_LINES = 400  # a longer file holds more than one thing

# The Home Assistant Supervisor takes every file of this name in a repository for an app, hassfest for an integration.
RESERVED = {
    "config.yaml": "addon/config.yaml",
    "config.yml": None,
    "config.json": None,
    "manifest.json": "custom_components/hubqueue/manifest.json",
}

# What tells of one machine or one network: home and work folders, and the addresses of package indexes.
MACHINE = re.compile(
    r"(?<![\w.$}])/(?:work|root|home/\w+|opt/wheels|opt/pypi)/[\w.-]"
    r"|\b(?:PIP_INDEX_URL|NPM_CONFIG_REGISTRY)\s*=\s*\S"
    r"|https?://[^\s\"'/]*(?:pypi|npmjs|registry|nexus|artifactory|debian|mirror)[^\s\"'/]*"
)


def tracked() -> list[Path]:
    """Every file of the repository that git knows or would add, as paths from the root."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout
    return sorted({Path(name) for name in listed.decode().split("\0") if name and (ROOT / name).is_file()})


def texts() -> list[tuple[Path, str]]:
    """The text files among them, with their content."""
    found = []
    for path in tracked():
        content = (ROOT / path).read_bytes()
        if b"\0" not in content:
            found.append((path, content.decode("utf-8")))
    return found


def test_reserved_file_names_are_not_taken() -> None:
    wrong = [str(path) for path in tracked() if path.name in RESERVED and str(path) != RESERVED[path.name]]
    assert wrong == []


def test_nothing_names_one_machine_or_a_package_index() -> None:
    wrong = [
        f"{path}:{text.count(chr(10), 0, match.start()) + 1}: {match.group()}"
        for path, text in texts()
        for match in MACHINE.finditer(text)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "line",
    [
        "open('/wo" + "rk/main/x')",
        "see /ro" + "ot/.cache",
        "/ho" + "me/anna/src",
        "--index-url https://py" + "pi.example.org/simple",
        "deb http://deb.de" + "bian.org/debian sid main",
    ],
)
def test_a_machine_path_or_index_is_found(line: str) -> None:
    assert MACHINE.search(line)


def test_there_is_one_version() -> None:
    engine = tomllib.loads((ROOT / "engine" / "pyproject.toml").read_text(encoding="utf-8"))
    nodes = json.loads((ROOT / "nodes" / "package.json").read_text(encoding="utf-8"))
    newest = re.search(r"^## \[([^\]]+)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert newest is not None
    stated = {engine["project"]["version"], nodes["version"], newest.group(1)}
    assert stated == {hubqueue.__version__}


def test_python_files_are_short() -> None:
    long = [
        f"{path}: {lines} lines"
        for path in tracked()
        if path.suffix == ".py" and (lines := len((ROOT / path).read_bytes().splitlines())) > MAX_PYTHON_LINES
    ]
    assert long == []


def test_python_files_say_what_they_hold() -> None:
    silent = [
        str(path)
        for path, text in texts()
        if path.suffix == ".py" and text.strip() and not re.match(r'(#!.*\n)?r?"""\S', text)
    ]
    assert silent == []


def scripts() -> list[Path]:
    """The commands in script/ that people run; what they share is not one."""
    return [path for path in tracked() if path.parts[0] == "script" and path.suffix != ".sh"]


def test_scripts_are_short_executable_and_explain_themselves() -> None:
    assert scripts()
    for path in scripts():
        text = (ROOT / path).read_text(encoding="utf-8")
        assert (ROOT / path).stat().st_mode & 0o111, f"{path} is not executable"
        assert text.startswith("#!/usr/bin/env bash\n# "), f"{path} does not say what it does"
        assert len(text.splitlines()) <= 120, f"{path} is too long"


def array(name: str) -> list[Path]:
    """The paths in an array of script/test."""
    there = re.search(rf"^{name}=\(.*?\)$", (ROOT / "script" / "test").read_text(), re.MULTILINE | re.DOTALL)
    assert there is not None, name
    print_it = f'{there[0]}\nprintf "%s\\n" "${{{name}[@]}}"'
    listed = subprocess.run(["bash", "-c", print_it], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [Path(line) for line in listed.splitlines()]


def test_the_whole_run_finds_its_folders_and_every_test_that_drives_a_browser() -> None:
    assert [str(path) for name in ("DEPENDS", "BROWSER") for path in array(name) if not (ROOT / path).exists()] == []
    marks = [path for path, text in texts() if path.suffix == ".py" and re.search(r"mark\.browser\b", text)]
    assert len(marks) >= 5
    assert [str(path) for path in marks if not set(path.parents) & set(array("BROWSER"))] == []


def test_no_engine_module_is_named_after_nothing() -> None:
    vague = {"utils", "util", "helpers", "helper", "common", "manager", "misc"}
    assert [str(path) for path in tracked() if path.suffix == ".py" and path.stem in vague] == []
