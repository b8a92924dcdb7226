"""What a run found: tables for people, one JSON file for later comparisons."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from bench.figures import KINDS, Figures
from bench.scenario import Scenario

MAIN = ("jobs_per_s", "cpu_us_per_job", "p50_ms", "p99_ms", "rss_mb")
NOTABLE = 1.10  # ratios nearer to 1 are noise on a shared machine

Results = Mapping[str, Figures]


def save(path: Path, results: Mapping[str, Results], rounds: int, quick: bool) -> None:
    """Writes the figures of every server, with what is needed to judge them later."""
    revision = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    document = {
        "taken": datetime.now(UTC).isoformat(timespec="seconds"),
        "revision": revision.stdout.strip(),
        "python": platform.python_version(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "rounds": rounds,
        "quick": quick,
        "servers": results,
    }
    path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")


def load(path: Path) -> dict[str, Any]:
    """A saved run."""
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def show(console: Console, server: str, scenarios: Sequence[Scenario], results: Results) -> None:
    """The figures of one server, beside the goals where they are ours."""
    played = [scenario for scenario in scenarios if scenario.name in results]
    more = [name for name in KINDS if name not in MAIN and any(name in figures for figures in results.values())]
    aims = [goals(scenario, results[scenario.name]) if server == "hubqueue" else "" for scenario in played]
    table = new_table(server)
    for name in MAIN:
        table.add_column(KINDS[name].title, justify="right", no_wrap=True)
    if more:
        table.add_column("also", overflow="fold")
    if any(aims):
        table.add_column("goal", overflow="fold")
    for scenario, aim in zip(played, aims, strict=True):
        figures = results[scenario.name]
        cells = [form(name, figures[name]) if name in figures else "" for name in MAIN]
        if more:
            cells.append(
                "\n".join(f"{KINDS[name].title} {form(name, figures[name])}" for name in more if name in figures)
            )
        if any(aims):
            cells.append(aim)
        table.add_row(scenario.title, *cells)
    console.print(table)


def new_table(title: str) -> Table:
    """A table whose rows are scenarios."""
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    table.add_column("work", no_wrap=True)
    return table


def form(name: str, value: float) -> str:
    """One figure as people read it."""
    return KINDS[name].form.format(value)


def goals(scenario: Scenario, figures: Figures) -> str:
    """Each goal of the scenario, and whether it was reached."""
    said = []
    for name, goal in scenario.goal.items():
        kind = KINDS[name]
        reached = figures[name] >= goal if kind.higher_is_better else figures[name] <= goal
        colour, mark = ("green", "reached") if reached else ("red", "missed")
        title = "" if name == "jobs_per_s" else f"{kind.title} "
        said.append(f"[{colour}]{title}{kind.form.format(goal)} {mark}[/]")
    return "\n".join(said)


def compare(console: Console, heading: str, scenarios: Sequence[Scenario], ours: Results, theirs: Results) -> None:
    """Ours as ratios to theirs, figure by figure; green is better, red is worse."""
    both = [scenario for scenario in scenarios if scenario.name in ours and scenario.name in theirs]
    names = [name for name in KINDS if any(name in ours[s.name] and name in theirs[s.name] for s in both)]
    table = new_table(heading)
    for name in names:
        table.add_column(KINDS[name].title, justify="right")
    for scenario in both:
        mine, other = ours[scenario.name], theirs[scenario.name]
        table.add_row(scenario.title, *(ratio(name, mine.get(name), other.get(name)) for name in names))
    console.print(table)


def ratio(name: str, mine: float | None, other: float | None) -> str:
    """Mine over other, coloured by what it means for this figure."""
    if mine is None or not other:
        return ""
    quotient = mine / other
    gain = quotient if KINDS[name].higher_is_better else 1 / quotient if quotient else NOTABLE
    colour = "green" if gain >= NOTABLE else "red" if gain <= 1 / NOTABLE else "dim"
    return f"[{colour}]{quotient:.2f}x[/]"
