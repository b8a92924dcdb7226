"""script/bench as it is run: a real server process, a real load, figures at the end."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]


def bench(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs the benchmark in a process of its own, and nothing of the caller's."""
    command = [sys.executable, "-m", "bench", *arguments]
    return subprocess.run(command, cwd=TESTS, capture_output=True, text=True, check=False, env={"TMPDIR": str(folder)})


@pytest.mark.slow
def test_a_quick_run_yields_figures_for_every_scenario_asked_for(tmp_path: Path) -> None:
    saved = tmp_path / "run.json"
    only = [argument for name in ("push-1", "drain-100", "forward", "mqtt") for argument in ("--only", name)]
    done = bench("--quick", *only, "--json", str(saved), folder=tmp_path)
    assert done.returncode == 0, done.stderr
    figures = json.loads(saved.read_text())["servers"]["hubqueue"]
    assert figures.keys() == {"push-1", "drain-100", "forward", "mqtt"}
    assert all(found["jobs_per_s"] > 0 and found["rss_mb"] > 0 for found in figures.values())
    assert "MQTT QoS 1 in, Mosquitto" in done.stdout
    assert list(tmp_path.iterdir()) == [saved], "a scratch folder was left behind"


def test_an_unknown_scenario_is_refused(tmp_path: Path) -> None:
    done = bench("--only", "nothing", folder=tmp_path)
    assert done.returncode == 2
    assert "no scenario nothing" in done.stderr
