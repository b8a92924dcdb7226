"""Runs the JavaScript tests of the nodes: the lib by itself, then the nodes in Node-RED's test helper, on 5 and 4.1."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from support.hub_process import HubProcess
from support.node_red import PACKAGE, tools

HERE = Path(__file__).parent
SCRIPTS = [
    path for folder in (PACKAGE, HERE) for path in sorted(folder.rglob("*.js")) if "node_modules" not in path.parts
]


HANGS_S = 280.0  # below the limit of one test, so that it says what it ran


def run_node(*arguments: str, **environ: str) -> None:
    """Node.js 24 with the prepared packages. It fails with what the program said."""
    folder = tools() / "node_modules"
    done = subprocess.run(
        [str(folder / ".bin" / "node"), *arguments],
        cwd=PACKAGE,
        env={**os.environ, "NODE_PATH": str(folder), **environ},
        capture_output=True,
        text=True,
        timeout=HANGS_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-2000:]


def test_every_script_is_javascript() -> None:
    assert len(SCRIPTS) > 25
    for path in SCRIPTS:
        run_node("--check", str(path))


def test_the_lib_by_itself() -> None:
    run_node("--test", "--test-timeout=60000", *map(str, sorted((HERE / "lib").glob("*.test.js"))))


@pytest.mark.slow
@pytest.mark.parametrize("package", ["node-red", "node-red-4"])
def test_the_nodes_in_the_test_helper(package: str, tmp_path: Path) -> None:
    with HubProcess(tmp_path) as hub:
        environ = {"NODE_RED_PACKAGE": package, "HUB_PORT": str(hub.port)}
        run_node("--test", "--test-timeout=60000", str(HERE / "helper" / "nodes.test.js"), **environ)
