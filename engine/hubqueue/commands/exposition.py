"""Prometheus: the hub's figures in Prometheus' text format, under the names that bunqueue's dashboards know."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from hubqueue.commands.call import Call, CallContext
from hubqueue.commands.command import READ, WHOLE_HUB, Command, command
from hubqueue.commands.read import counts_map
from hubqueue.hub.verbs import query
from hubqueue.model.verbs import QueueInfo

STATES: Final = {
    "waiting": "waiting",
    "prioritized": "prioritized",
    "delayed": "delayed",
    "active": "active",
    "failed": "dlq",
    "completed": "completed",
}
MAX_QUEUES: Final = 100  # with a line of their own for each state, largest first
TOTALS: Final = ("pushed", "pulled", "completed", "failed")


@command(READ, WHOLE_HUB)
class Prometheus(Command):
    """The hub's figures in Prometheus' text format."""

    def handle(self, call: Call) -> None:
        context = call.session.context
        call.run(query.queues, lambda infos: {"data": {"metrics": _text(context, infos)}})


def _text(context: CallContext, infos: list[QueueInfo]) -> str:
    from prometheus_client import CollectorRegistry, generate_latest  # half a second and 5 MB that few hubs need

    registry = CollectorRegistry()
    registry.register(_Figures(context, infos))
    return generate_latest(registry).decode()


class _Figures:
    """What prometheus_client asks for its families."""

    def __init__(self, context: CallContext, infos: list[QueueInfo]) -> None:
        self._context = context
        self._counts = {info.name: counts_map(info.counts) for info in infos}

    def collect(self) -> Iterable[Any]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        for name, shown in STATES.items():
            total = sum(counts[name] for counts in self._counts.values())
            yield GaugeMetricFamily(f"bunqueue_jobs_{shown}", f"Jobs that are {shown} now", value=total)
        for name, total in zip(TOTALS, self._context.hub.metrics.totals, strict=True):
            yield CounterMetricFamily(f"bunqueue_jobs_{name}", f"Jobs {name} since the start", value=total)
        workers = len(self._context.workers.shown())
        yield GaugeMetricFamily("bunqueue_workers", "Workers that are registered", value=workers)
        yield GaugeMetricFamily(
            "bunqueue_storage_bytes", "Pages in use and the log", value=self._context.hub.used_bytes
        )
        yield GaugeMetricFamily("bunqueue_disk_full", "Whether new jobs are refused", value=self._context.hub.disk_full)
        uptime_s = self._context.uptime_ms() / 1000
        yield GaugeMetricFamily("bunqueue_uptime_seconds", "Since the listeners were opened", value=uptime_s)
        largest = sorted(self._counts.items(), key=lambda each: -sum(each[1].values()))[:MAX_QUEUES]
        for name, shown in STATES.items():
            family = GaugeMetricFamily(f"bunqueue_queue_jobs_{shown}", f"Jobs of a queue: {shown}", labels=["queue"])
            for queue, counts in largest:
                family.add_metric([queue], counts[name])
            yield family
