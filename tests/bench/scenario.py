"""A scenario, and the stage it plays on: one fresh folder, the server to measure, and the number of jobs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from bench.figures import Figures
from bench.jobs import batches, pushes
from bench.servers import Hubqueue, Server
from hubqueue.client.load import Requests, Todo, Worker, drive

WARM_JOBS = 500
PORTION_JOBS = 200_000  # encoded at a time: 30 MB


@dataclass(frozen=True, slots=True)
class Stage:
    """What a scenario is given."""

    folder: Path
    server: type[Server]
    jobs: int

    @contextmanager
    def serve(self, arguments: Sequence[str] = (), name: str = "server") -> Iterator[Server]:
        """The server to measure, started and warm; killed when the scenario is over."""
        folder = self.folder / name
        folder.mkdir()
        server = self.server(folder, arguments)
        try:
            server.start()
            warm(server)
            yield server
        finally:
            server.kill()


@dataclass(frozen=True, slots=True)
class Scenario:
    """`jobs` and `quick_jobs`: how many for a full and a quick run. `goal`: the figures to reach (design 15)."""

    name: str
    title: str
    play: Callable[[Stage], Figures]
    jobs: int
    quick_jobs: int
    goal: Mapping[str, float] = field(default_factory=dict)
    servers: tuple[str, ...] = (Hubqueue.name, "bunqueue")
    once: bool = False  # long enough to need no repetition


def warm(server: Server) -> None:
    """Runs every path once that a measurement is not to pay for."""
    drive(server.target, [Requests(pushes("warm", WARM_JOBS), 50)])
    drive(server.target, [Worker("warm", 50, Todo(WARM_JOBS))])


def fill(server: Server, queue: str, jobs: int) -> float:
    """Puts jobs into a queue as fast as it goes; the seconds that took, without those of encoding."""
    seconds = 0.0
    while jobs > 0:
        portion = min(jobs, PORTION_JOBS)
        seconds += drive(server.target, [Requests(batches(queue, portion, 1000), 8)]).seconds
        jobs -= portion
    return seconds
