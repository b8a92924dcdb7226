"""What a member counts, and the small HTTP server that shows it: /metrics for Prometheus, /health, /ready."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

if TYPE_CHECKING:
    from prometheus_client.core import Metric

STUCK_S: Final = 120.0  # a loop that has not come round for so long hangs


@dataclass(slots=True, eq=False)
class MemberMetrics:
    """Units: records, since the start; lag records; turned_s of the monotonic clock."""

    pipeline: str
    read: int = 0
    written: int = 0
    dead: int = 0
    late: int = 0
    deleted: int = 0
    unkeyed: int = 0
    commits: int = 0
    refused_commits: int = 0
    rebalances: int = 0
    sink_failures: int = 0
    aside: int = 0
    partitions: int = 0
    member: bool = False
    sink_up: bool = True
    turned_s: float = field(default_factory=time.monotonic)
    lag: dict[tuple[str, int], int] = field(default_factory=dict)
    held: dict[tuple[str, int], int] = field(default_factory=dict)

    def collect(self) -> Iterator[Metric]:
        """What prometheus_client asks for."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        def one(kind: Any, name: str, help: str, value: float) -> Metric:
            made: Metric = kind(name, help, labels=["pipeline"])
            made.add_metric([self.pipeline], value)  # type: ignore[attr-defined]
            return made

        count, gauge = CounterMetricFamily, GaugeMetricFamily
        yield one(count, "hubqueue_pipeline_read", "Records read", self.read)
        yield one(count, "hubqueue_pipeline_written", "Records the sinks have", self.written)
        yield one(count, "hubqueue_pipeline_dead", "Records that a step or a sink refused", self.dead)
        yield one(count, "hubqueue_pipeline_late", "Records too late for their window", self.late)
        yield one(
            count, "hubqueue_pipeline_deleted", "Records that the brokers deleted before they were read", self.deleted
        )
        yield one(count, "hubqueue_pipeline_unkeyed", "Records without a key, read for windows", self.unkeyed)
        yield one(count, "hubqueue_pipeline_commits", "Offsets committed", self.commits)
        yield one(count, "hubqueue_pipeline_fenced", "Commits refused: partitions were others'", self.refused_commits)
        yield one(count, "hubqueue_pipeline_rebalances", "Times partitions were given out anew", self.rebalances)
        yield one(
            count, "hubqueue_pipeline_sink_failures", "Writes that failed and are tried again", self.sink_failures
        )
        yield one(gauge, "hubqueue_pipeline_aside", "Records set aside, over which a sink breaks off", self.aside)
        yield one(gauge, "hubqueue_pipeline_member", "Whether it is in the group", self.member)
        yield one(gauge, "hubqueue_pipeline_sink_up", "Whether the sinks take records", self.sink_up)
        yield one(gauge, "hubqueue_pipeline_partitions", "Partitions that are its own", self.partitions)
        yield self._each("hubqueue_pipeline_lag", "Records of a partition that wait to be read", self.lag)
        yield self._each("hubqueue_pipeline_open", "Records that a successor would have to read again", self.held)

    def _each(self, name: str, help: str, values: dict[tuple[str, int], int]) -> Metric:
        from prometheus_client.core import GaugeMetricFamily

        family = GaugeMetricFamily(name, help, labels=["pipeline", "topic", "partition"])
        for (topic, partition), value in values.items():
            family.add_metric([self.pipeline, topic, str(partition)], value)
        return family

    def stuck(self) -> bool:
        return time.monotonic() - self.turned_s > STUCK_S

    def ready(self) -> bool:
        return self.member and self.sink_up and not self.stuck()


class Glance:
    """The HTTP server. `open` until `close`. port: the one it has, asked for with 0 or not."""

    def __init__(self, figures: MemberMetrics) -> None:
        self._figures = figures
        self._runner: web.AppRunner | None = None
        self.port = 0

    async def open(self, host: str, port: int) -> None:
        """Errors: OSError when the port is taken."""
        app = web.Application()
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/health", self._health)
        app.router.add_get("/ready", self._ready)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        addresses: Iterable[Any] = self._runner.addresses
        self.port = next(iter(addresses))[1]

    async def close(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _metrics(self, _: web.Request) -> web.Response:
        from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest, process_collector

        registry = CollectorRegistry()
        registry.register(self._figures)
        process_collector.ProcessCollector(registry=registry)
        return web.Response(body=generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def _health(self, _: web.Request) -> web.Response:
        return _answer(not self._figures.stuck())

    async def _ready(self, _: web.Request) -> web.Response:
        return _answer(self._figures.ready())


def _answer(good: bool) -> web.Response:
    return web.Response(status=200 if good else 503, text="ok\n" if good else "not now\n")
