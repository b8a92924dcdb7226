"""What the report says about figures: medians, goals, ratios, and that a saved run comes back."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from bench import report
from bench.__main__ import SCENARIOS
from bench.figures import KINDS, Figures, median_of
from bench.scenario import Scenario, Stage


def never(stage: Stage) -> Figures:
    raise AssertionError("not to be played")


PUSH = Scenario("push", "PUSH", never, 10, 5, {"jobs_per_s": 100.0, "rss_mb": 60.0})


def printed(server: str, results: dict[str, Figures]) -> str:
    console = Console(file=io.StringIO(), width=160)
    report.show(console, server, [PUSH], results)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_median_is_taken_figure_by_figure() -> None:
    rounds = [
        {"jobs_per_s": 3.0, "p99_ms": 1.0},
        {"jobs_per_s": 1.0, "p99_ms": 9.0},
        {"jobs_per_s": 2.0, "p99_ms": 2.0},
    ]
    assert median_of(rounds) == {"jobs_per_s": 2.0, "p99_ms": 2.0}


def test_a_missed_goal_is_said() -> None:
    text = printed("hubqueue", {"push": {"jobs_per_s": 120.0, "rss_mb": 61.0}})
    assert "100 reached" in text
    assert "RSS MB 60 missed" in text


def test_goals_are_ours_alone() -> None:
    assert "reached" not in printed("bunqueue", {"push": {"jobs_per_s": 120.0, "rss_mb": 61.0}})


@pytest.mark.parametrize(
    ("name", "mine", "other", "colour"),
    [
        ("jobs_per_s", 200.0, 100.0, "green"),
        ("jobs_per_s", 50.0, 100.0, "red"),
        ("p99_ms", 2.0, 1.0, "red"),
        ("p99_ms", 0.5, 1.0, "green"),
        ("p99_ms", 1.01, 1.0, "dim"),
    ],
)
def test_a_ratio_is_coloured_by_what_is_better(name: str, mine: float, other: float, colour: str) -> None:
    assert report.ratio(name, mine, other).startswith(f"[{colour}]{mine / other:.2f}x")


def test_a_saved_run_comes_back(tmp_path: Path) -> None:
    results = {"hubqueue": {"push": {"jobs_per_s": 1.5}}}
    report.save(tmp_path / "run.json", results, rounds=3, quick=False)
    saved = report.load(tmp_path / "run.json")
    assert saved["servers"] == results
    assert saved["rounds"] == 3


def test_every_goal_names_a_figure_and_every_scenario_is_named_once() -> None:
    assert len({scenario.name for scenario in SCENARIOS}) == len(SCENARIOS)
    assert {name for scenario in SCENARIOS for name in scenario.goal} <= KINDS.keys()
