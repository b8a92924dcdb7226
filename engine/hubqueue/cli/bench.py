"""`hubqueue bench`: a small self-test of this machine; script/bench is the full benchmark."""

from __future__ import annotations

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from hubqueue.cli.connect import json_option

if TYPE_CHECKING:
    from hubqueue.client.load import Load, Target

_QUEUE: Final = "bench"
_BATCH: Final = 100


@dataclass(frozen=True)
class Row:
    """One figure. Units: milliseconds."""

    work: str
    jobs: int
    jobs_per_s: float
    p50_ms: float
    p99_ms: float


@click.command()
@click.option(
    "--jobs", default=20_000, show_default=True, type=click.IntRange(100, 5_000_000), help="Jobs for batches."
)
@click.option(
    "--folder",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Where the test file is put: name a folder of the disk you want to know about.",
)
@json_option
def bench(jobs: int, folder: Path | None, as_json: bool) -> None:
    """Measure this machine: jobs a second and latency.

    Starts a hub of its own on a throw-away file and removes both; nothing of yours is touched. Every figure is
    committed work. "synced" is on the disk before the answer, as with --durable.
    """
    from hubqueue.cli import output
    from hubqueue.cli.progress import counting
    from hubqueue.cli.scratch import scratch_hub
    from hubqueue.client.load import Target

    rows: list[Row] = []
    with (
        tempfile.TemporaryDirectory(prefix="hubqueue-bench-", dir=folder) as scratch,
        scratch_hub(Path(scratch) / "bench.db") as (port, _),
        counting("Measuring", total=5) as tell,
    ):
        for measure in (_push_batches, _drain_batches, _push_one_by_one, _push_synced, _work_one_by_one):
            rows.append(measure(Target(port), jobs))
            tell(len(rows))
    if as_json:
        output.print_json([asdict(row) for row in rows])
        return
    columns = ("work", "jobs", "jobs/s", "p50", "p99")
    output.print_table(
        output.table(columns, right=columns[1:]),
        (
            (row.work, f"{row.jobs:,}", f"{row.jobs_per_s:,.0f}", f"{row.p50_ms:.2f} ms", f"{row.p99_ms:.2f} ms")
            for row in rows
        ),
        empty="",
    )


def _push_batches(target: Target, jobs: int) -> Row:
    from hubqueue.client.load import Requests, command, drive

    count = jobs // _BATCH
    batch = [{"name": "bench", "data": _data(index)} for index in range(_BATCH)]
    frames = [command("PUSHB", index, queue=_QUEUE, jobs=batch) for index in range(count)]
    return _row(f"enqueue, {_BATCH} at a time", count * _BATCH, drive(target, [Requests(frames, 8)]))


def _drain_batches(target: Target, jobs: int) -> Row:
    from hubqueue.client.load import Todo, Worker, drive

    count = jobs // _BATCH * _BATCH
    return _row(f"lease and complete, {_BATCH} at a time", count, drive(target, [Worker(_QUEUE, _BATCH, Todo(count))]))


def _push_one_by_one(target: Target, jobs: int) -> Row:
    from hubqueue.client.load import Requests, command, drive

    count = max(jobs // 4, 100)
    frames = [command("PUSH", index, queue=_QUEUE, name="bench", data=_data(index)) for index in range(count)]
    return _row("enqueue one by one, 50 in flight", count, drive(target, [Requests(frames, 50)]))


def _push_synced(target: Target, jobs: int) -> Row:
    from hubqueue.client.load import Requests, command, drive

    count = max(jobs // 20, 100)
    frames = [
        command("PUSH", index, queue=_QUEUE, name="bench", data=_data(index), durable=True) for index in range(count)
    ]
    return _row("enqueue synced, 50 in flight", count, drive(target, [Requests(frames, 50)]))


def _work_one_by_one(target: Target, jobs: int) -> Row:
    from hubqueue.client.load import Todo, Worker, drive

    count = max(jobs // 20, 100)
    return _row("lease and complete one by one", count, drive(target, [Worker(_QUEUE, 0, Todo(count))]))


def _row(work: str, jobs: int, load: Load) -> Row:
    return Row(
        work,
        jobs,
        round(jobs / load.seconds, 1),
        round(load.percentile(0.5) * 1000, 3),
        round(load.percentile(0.99) * 1000, 3),
    )


def _data(index: int) -> dict[str, object]:
    return {"sensor": f"room-{index % 40}", "value": 21.5 + index % 7, "unit": "°C"}
