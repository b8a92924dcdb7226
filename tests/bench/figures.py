"""What one scenario yields: named figures, their units and which way is better; and the median of several rounds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median
from types import TracebackType

from bench.process import cpu_seconds, resident_mb
from bench.servers import Server
from hubqueue.client.load import Load

Figures = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Kind:
    """How a figure is shown and compared."""

    title: str
    form: str
    higher_is_better: bool = False


KINDS = {
    "jobs_per_s": Kind("jobs/s", "{:,.0f}", higher_is_better=True),
    "cpu_us_per_job": Kind("CPU us/job", "{:.1f}"),
    "p50_ms": Kind("p50 ms", "{:.2f}"),
    "p99_ms": Kind("p99 ms", "{:.2f}"),
    "rss_mb": Kind("RSS MB", "{:.0f}"),
    "waiting_jobs": Kind("jobs waiting", "{:,.0f}", higher_is_better=True),
    "idle_cpu_percent": Kind("idle CPU %", "{:.2f}"),
    "p99_ms_at_1000": Kind("p99 ms at 1,000 jobs", "{:.2f}"),
    "restart_s": Kind("restart s", "{:.2f}"),
    "restart_after_kill_s": Kind("restart after kill s", "{:.2f}"),
}


def median_of(rounds: Iterable[Figures]) -> dict[str, float]:
    """Of each figure, the median over the rounds."""
    taken = list(rounds)
    return {name: median(figures[name] for figures in taken) for name in taken[0]}


class Meter:
    """Processor time and memory of a server over a `with` block, and the figures that follow from them."""

    def __init__(self, server: Server) -> None:
        self._pid = server.pid
        self._before = 0.0
        self.cpu_s = 0.0
        self.rss_mb = 0.0

    def __enter__(self) -> Meter:
        self._before = cpu_seconds(self._pid)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.cpu_s = cpu_seconds(self._pid) - self._before
            self.rss_mb = resident_mb(self._pid)

    def rate(self, jobs: int, seconds: float) -> dict[str, float]:
        """Throughput, cost and memory of so many jobs."""
        return {"jobs_per_s": jobs / seconds, "cpu_us_per_job": self.cpu_s / jobs * 1e6, "rss_mb": self.rss_mb}

    def figures(self, jobs: int, load: Load) -> dict[str, float]:
        """The same with the latencies of the requests."""
        latencies = {"p50_ms": load.percentile(0.5) * 1e3, "p99_ms": load.percentile(0.99) * 1e3}
        return {**self.rate(jobs, load.seconds), **latencies}
