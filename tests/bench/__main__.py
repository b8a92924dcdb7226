"""script/bench: plays the scenarios against a real server and reports."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import click
from rich.console import Console

from bench import bridge, endurance, report, throughput, uplink
from bench.bunqueue import Bunqueue
from bench.figures import Figures, median_of
from bench.scenario import Scenario, Stage
from bench.servers import Hubqueue, Server

SCENARIOS: Sequence[Scenario] = (
    *throughput.SCENARIOS,
    *bridge.SCENARIOS,
    *uplink.SCENARIOS,
    *endurance.SCENARIOS,
)
SERVERS: Mapping[str, type[Server]] = {server.name: server for server in (Hubqueue, Bunqueue)}

FILE_WIDTH = 140  # columns of the tables where there is no terminal to ask

progress = Console(stderr=True)


def play(scenario: Scenario, server: type[Server], rounds: int, *, quick: bool) -> Figures:
    """The median of several rounds, each on a fresh folder."""
    jobs = scenario.quick_jobs if quick else scenario.jobs
    taken = []
    for number in range(1 if scenario.once else rounds):
        progress.print(f"{server.name}: {scenario.title}, round {number + 1} ...", style="dim")
        folder = Path(tempfile.mkdtemp(prefix="hubqueue-bench-"))
        try:
            taken.append(scenario.play(Stage(folder, server, jobs)))
        finally:
            shutil.rmtree(folder)
    return median_of(taken)


def play_all(
    scenarios: Sequence[Scenario], names: Sequence[str], rounds: int, *, quick: bool
) -> tuple[dict[str, dict[str, Figures]], list[str]]:
    """The figures by server and scenario, and what failed. The servers take turns, so that both see the same hour."""
    results: dict[str, dict[str, Figures]] = {name: {} for name in names}
    failures = []
    for scenario in scenarios:
        for name in names:
            if name not in scenario.servers:
                continue
            try:
                results[name][scenario.name] = play(scenario, SERVERS[name], 1 if quick else rounds, quick=quick)
            except Exception as error:  # the others are still worth their time
                failures.append(f"{name}: {scenario.title}: {error}")
                progress.print_exception()
    return results, failures


@click.command(context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--only", multiple=True, metavar="NAME", help="Play only this scenario (may be repeated).")
@click.option("--list", "list_names", is_flag=True, help="List the scenarios and stop.")
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1), help="The median of so many rounds.")
@click.option("--quick", is_flag=True, help="Fewer jobs and one round: a rough idea within two minutes.")
@click.option("--against", type=click.Choice(["bunqueue"]), help="Measure this server too, and show the ratios.")
@click.option("--json", "json_file", type=click.Path(path_type=Path, dir_okay=False), help="Save the figures here.")
@click.option(
    "--compare",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Show this run as ratios to one saved with --json.",
)
def main(
    only: tuple[str, ...],
    list_names: bool,
    rounds: int,
    quick: bool,
    against: str | None,
    json_file: Path | None,
    compare: Path | None,
) -> None:
    """Measure committed work: jobs/s, processor time per job, latency and memory of a real server.

    Each scenario starts a server on a fresh file and loads it with frames encoded beforehand. What counts is what
    the server has answered, which it does only after the commit.
    """
    console = Console(width=None if sys.stdout.isatty() else FILE_WIDTH)
    if list_names:
        for scenario in SCENARIOS:
            console.print(f"{scenario.name:18} {scenario.title}", highlight=False)
        return
    if unknown := set(only) - {scenario.name for scenario in SCENARIOS}:
        raise click.UsageError(f"no scenario {', '.join(sorted(unknown))}; --list shows them")
    chosen = [scenario for scenario in SCENARIOS if not only or scenario.name in only]
    names = [Hubqueue.name, *([against] if against else [])]
    results, failures = play_all(chosen, names, rounds, quick=quick)
    for name in names:
        report.show(console, name, chosen, results[name])
    if against:
        report.compare(console, f"hubqueue / {against}", chosen, results[Hubqueue.name], results[against])
    if json_file:
        report.save(json_file, results, rounds, quick)
    if compare:
        saved = report.load(compare)
        heading = f"this run / {compare.name} ({saved['revision']}, {saved['taken']})"
        report.compare(console, heading, chosen, results[Hubqueue.name], saved["servers"][Hubqueue.name])
    if failures:
        raise click.ClickException("\n".join(["these could not be measured:", *failures]))


if __name__ == "__main__":
    sys.exit(main(prog_name="script/bench"))
