"""Libraries whose private parts are used: which versions are allowed, and that the lowest of them work too."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from hubqueue.errors import ConfigError
from hubqueue.libraries import KNOWN, require
from support.cached import kept
from support.hub_process import HubProcess

ROOT = Path(__file__).parents[2]
# what MQTT and WebSocket do with the private parts
USERS = ("mqttclient", "mqtt/test_link.py", "servers/http/test_ws.py", "servers/http/test_strangers.py")


def test_they_are_installed_within_the_same_bounds() -> None:
    project = tomllib.loads((ROOT / "engine" / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    known = {f"{name}>={lowest},<{beyond}" for name, (lowest, beyond) in KNOWN.items()}
    assert {each for each in project["dependencies"] if each.startswith(tuple(KNOWN))} == known


def test_these_tests_run_with_versions_that_are_known() -> None:
    require(*KNOWN)


@pytest.mark.parametrize("name", KNOWN)
def test_the_bounds_are_kept(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    lowest, beyond = KNOWN[name]
    for version, known in ((lowest, True), (f"{lowest}.9", True), (beyond, False), (f"{beyond}.0rc1", False)):
        monkeypatch.setattr(metadata, "version", lambda _, version=version: version)
        if known:
            require(name)
            continue
        with pytest.raises(ConfigError, match=re.escape(f"{name} {version} is installed")) as refused:
            require(name)
        assert f"pip install '{name}>={lowest},<{beyond}'" in refused.value.hint


BRIDGED = """
data_path: hub.db
tcp: {port: 0}
mqtt: {url: mqtt://127.0.0.1:1}
"""


@pytest.mark.parametrize("name", KNOWN)
def test_a_hub_with_a_version_that_is_not_known_does_not_start(name: str, tmp_path: Path) -> None:
    about = tmp_path / f"{name.replace('-', '_')}-99.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 99.0\n")
    config = tmp_path / "hubqueue.yaml"
    config.write_text(BRIDGED)
    found = os.pathsep.join([str(tmp_path), os.environ["PYTHONPATH"]])
    hub = HubProcess(tmp_path, config=config, environ={"PYTHONPATH": found})
    with pytest.raises(AssertionError, match=rf"(?s){name} 99\.0 is installed.*pip install '{name}>="):
        hub.start()


@pytest.mark.slow
def test_the_lowest_versions_work_too() -> None:
    lowest = {name: lowest for name, (lowest, _) in KNOWN.items()}
    found = _run("-c", f"from importlib.metadata import version; print([version(name) for name in {list(KNOWN)}])")
    assert found.stdout.strip() == str([f"{version}.0" for version in lowest.values()])
    files = [str(ROOT / "tests" / "engine" / each) for each in USERS]
    done = _run("-m", "pytest", "-q", "-m", "not slow", "-p", "no:cacheprovider", *files)
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Python with the lowest versions in front of those that this one has."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environ["PYTHONPATH"] = os.pathsep.join([str(_lowest()), environ["PYTHONPATH"]])
    command = [sys.executable, *arguments]
    return subprocess.run(command, env=environ, cwd=ROOT, capture_output=True, text=True, check=False, timeout=240)


def _lowest() -> Path:
    wanted = [f"{name}=={lowest}.0" for name, (lowest, _) in KNOWN.items()]
    python = f"{sys.version_info.major}.{sys.version_info.minor}"
    pip = [str(ROOT / ".venv" / "bin" / "python"), "-m", "pip", "--python", sys.executable, "install", "--no-deps"]

    def make(folder: Path) -> Path:
        command = [*pip, "--quiet", "--only-binary", ":all:", "--target", str(folder), *wanted]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return folder

    return kept("-".join(["lowest", python, *wanted]), make)
