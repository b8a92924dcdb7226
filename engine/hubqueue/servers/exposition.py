"""The hub's figures in Prometheus' text format, under the names that bunqueue's dashboards know."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from hubqueue.hub.verbs import query
from hubqueue.model.verbs import QueueInfo
from hubqueue.servers.door import Call, Door, Handlers
from hubqueue.servers.query import counts_map
from hubqueue.wire.commands import monitor as wire

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


def prometheus(call: Call, command: wire.Prometheus) -> None:
    door = call.session.door
    call.run(query.queues, lambda infos: {"data": {"metrics": _text(door, infos)}})


def _text(door: Door, infos: list[QueueInfo]) -> str:
    from prometheus_client import CollectorRegistry, generate_latest  # half a second and 5 MB that few hubs need

    registry = CollectorRegistry()
    registry.register(_Figures(door, infos))
    return generate_latest(registry).decode()


class _Figures:
    """What prometheus_client asks for its families."""

    def __init__(self, door: Door, infos: list[QueueInfo]) -> None:
        self._door = door
        self._counts = {info.name: counts_map(info.counts) for info in infos}

    def collect(self) -> Iterable[Any]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        for name, shown in STATES.items():
            total = sum(counts[name] for counts in self._counts.values())
            yield GaugeMetricFamily(f"bunqueue_jobs_{shown}", f"Jobs that are {shown} now", value=total)
        for name, total in zip(TOTALS, self._door.hub.metrics.totals, strict=True):
            yield CounterMetricFamily(f"bunqueue_jobs_{name}", f"Jobs {name} since the start", value=total)
        workers = len(self._door.workers.shown())
        yield GaugeMetricFamily("bunqueue_workers", "Workers that are registered", value=workers)
        yield GaugeMetricFamily("bunqueue_storage_bytes", "Pages in use and the log", value=self._door.hub.used_bytes)
        yield GaugeMetricFamily("bunqueue_disk_full", "Whether new jobs are refused", value=self._door.hub.disk_full)
        uptime_s = self._door.uptime_ms() / 1000
        yield GaugeMetricFamily("bunqueue_uptime_seconds", "Since the door was opened", value=uptime_s)
        largest = sorted(self._counts.items(), key=lambda each: -sum(each[1].values()))[:MAX_QUEUES]
        for name, shown in STATES.items():
            family = GaugeMetricFamily(f"bunqueue_queue_jobs_{shown}", f"Jobs of a queue: {shown}", labels=["queue"])
            for queue, counts in largest:
                family.add_metric([queue], counts[name])
            yield family


HANDLERS: Final[Handlers] = {wire.Prometheus: prometheus}
