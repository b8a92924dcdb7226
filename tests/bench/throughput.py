"""Scenarios of producing and consuming through the TCP door."""

from __future__ import annotations

from bench.figures import Figures, Meter
from bench.jobs import RESULT, batches, pushes
from bench.scenario import Scenario, Stage, fill
from hubqueue.client.load import Requests, Todo, Worker, drive


def push_batches(size: int, window: int = 8) -> Scenario:
    """PUSHB of so many jobs, `window` of them unanswered."""

    def play(stage: Stage) -> Figures:
        frames = batches("readings", stage.jobs, size)
        with stage.serve() as server, Meter(server) as meter:
            load = drive(server.target, [Requests(frames, window)])
        return meter.figures(stage.jobs, load)

    goal = {"jobs_per_s": 220_000.0} if size == 1000 else {}
    return Scenario(f"pushb-{size}", f"PUSHB {size}, window {window}", play, 300_000, 100_000, goal)


def push(window: int, jobs: int, quick_jobs: int, *, durable: bool = False, goal: float | None = None) -> Scenario:
    """PUSH one by one."""

    def play(stage: Stage) -> Figures:
        frames = pushes("readings", stage.jobs, durable=durable)
        with stage.serve() as server, Meter(server) as meter:
            load = drive(server.target, [Requests(frames, window)])
        return meter.figures(stage.jobs, load)

    how = "sequential" if window == 1 else f"window {window}"
    return Scenario(
        f"push{'-durable' if durable else ''}-{window}",
        f"PUSH{' durable' if durable else ''}, {how}",
        play,
        jobs,
        quick_jobs,
        {} if goal is None else {"jobs_per_s": goal},
    )


def drain(batch: int, jobs: int, quick_jobs: int, goal: float | None = None) -> Scenario:
    """One worker; batch 0 is PULL and ACK one after the other. Results are kept."""

    def play(stage: Stage) -> Figures:
        with stage.serve() as server:
            fill(server, "readings", max(stage.jobs, 1000))
            with Meter(server) as meter:
                load = drive(server.target, [Worker("readings", batch, Todo(stage.jobs), result=RESULT)])
        return meter.figures(stage.jobs, load)

    return Scenario(
        f"drain-{batch or 1}",
        f"PULLB + ACKB {batch}" if batch else "PULL + ACK, sequential",
        play,
        jobs,
        quick_jobs,
        {} if goal is None else {"jobs_per_s": goal},
    )


def mixed(stage: Stage) -> Figures:
    """Eight producers and eight workers at once; a job counts when it is completed."""
    each = stage.jobs // 8
    todo = Todo(each * 8)
    frames = pushes("readings", each)
    with stage.serve() as server, Meter(server) as meter:
        load = drive(
            server.target,
            [
                *(Requests(frames, 10) for _ in range(8)),
                *(Worker("readings", 20, todo, wait_ms=1000, result=RESULT) for _ in range(8)),
            ],
        )
    return meter.figures(each * 8, load)


SCENARIOS = (
    push_batches(1000),
    push_batches(100),
    push(50, 80_000, 20_000, goal=50_000.0),
    push(1, 10_000, 2_000),
    push(50, 50_000, 10_000, durable=True, goal=30_000.0),
    push(1, 3_000, 500, durable=True),
    drain(100, 60_000, 20_000, 40_000.0),
    drain(1000, 100_000, 20_000),
    drain(0, 5_000, 1_000, 2_500.0),
    Scenario("mixed-8-8", "8 producers + 8 workers", mixed, 40_000, 10_000),
)
