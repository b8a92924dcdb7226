"""`GET /metrics`: the figures of the hub for Prometheus. docs/metrics.md names them all.

A scrape asks three commands and reads counters that are kept anyway: no job is looked at. A token that is limited to
queues sees those queues and nothing of the hub.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from hubqueue.errors import UnknownCommand
from hubqueue.hub.hub import Hub
from hubqueue.servers.http.requestcontext import CONTEXT, session_of
from hubqueue.servers.http.session import HttpSession

if TYPE_CHECKING:
    from prometheus_client.core import Metric

MAX_QUEUES: Final = 1000  # with lines of their own, those with the most unfinished and dead jobs
STATES: Final = {
    "waiting": "waiting",
    "prioritized": "prioritized",
    "delayed": "delayed",
    "active": "active",
    "waitingChildren": "waiting-children",
    "completed": "completed",
    "failed": "failed",
}
THROUGHPUT: Final = {"enqueued": "accepted", "leased": "given to workers", "completed": "completed", "dead": "buried"}


def metrics_route(app: web.Application) -> None:
    """Mount /metrics."""
    app.router.add_get("/metrics", scrape)


PIPELINES: Final = {
    "taken": "Records that came in",
    "given": "Results that went out",
    "refused": "Records that a step refused",
    "failed": "Records on which a step broke",
    "late": "Records too late for their window",
    "lost": "Results that a later step refused",
    "released": "Records given back to be tried later",
    "restarts": "New starts of its own process",
}


async def scrape(request: web.Request) -> web.Response:
    session, hub = session_of(request), request.app[CONTEXT].hub
    overview = await session.ask("Overview", limit=MAX_QUEUES)
    whole = overview["rates"] is not None
    rules = await _ask(session, "Rules") if whole else {}
    parts = {**await _ask(session, "Pipelines"), **await _ask(session, "Sources")} if whole else {}
    body, content_type = await asyncio.to_thread(_text, hub, overview, rules, parts, whole)
    return web.Response(body=body, headers={"Content-Type": content_type})


async def _ask(session: HttpSession, name: str) -> dict[str, Any]:
    """What the process says; an embedded hub knows nothing of it."""
    try:
        return await session.ask(name)
    except UnknownCommand:
        return {}


def _text(
    hub: Hub, overview: dict[str, Any], rules: dict[str, Any], parts: dict[str, Any], whole: bool
) -> tuple[bytes, str]:
    """In a thread: a thousand queues are ten thousand lines."""
    from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest, process_collector

    registry = CollectorRegistry()
    registry.register(_Figures(hub, overview, rules, parts, whole))
    if whole:
        process_collector.ProcessCollector(registry=registry)
    return generate_latest(registry), CONTENT_TYPE_LATEST


class _Figures:
    """What prometheus_client asks for its families."""

    def __init__(
        self, hub: Hub, overview: dict[str, Any], rules: dict[str, Any], parts: dict[str, Any], whole: bool
    ) -> None:
        self._hub = hub
        self._overview = overview
        self._rules = rules
        self._pipelines: list[dict[str, Any]] = parts.get("pipelines", [])
        self._sources: list[dict[str, Any]] = parts.get("sources", [])
        self._whole = whole

    def collect(self) -> Iterator[Metric]:
        yield from self._queues()
        yield from self._forwarders()
        if self._whole:
            yield from self._about_hub()
            yield from self._mqtt()
            yield from self._of_pipelines()
            yield from self._of_sources()

    def _queues(self) -> Iterator[Metric]:
        queues = self._overview["queues"]
        yield _gauge(
            "hubqueue_jobs",
            "Jobs of a queue by state; those that are prioritized are in no other state",
            ("queue", "state"),
            (((queue["name"], state), queue[field]) for queue in queues for field, state in STATES.items()),
        )
        yield _gauge(
            "hubqueue_queue_oldest_seconds",
            "How long the first job in line has been waiting",
            ("queue",),
            (((queue["name"],), (queue["oldestMs"] or 0) / 1000) for queue in queues),
        )
        yield _gauge(
            "hubqueue_queue_paused",
            "Whether a queue is paused",
            ("queue",),
            (((queue["name"],), queue["paused"]) for queue in queues),
        )
        counted = {row.name: counts for row, counts in tuple(self._hub.metrics.of_queue.items())}
        for index, (name, words) in enumerate(THROUGHPUT.items()):
            yield _counter(
                f"hubqueue_jobs_{name}",
                f"Jobs that were {words}, since the start",
                ("queue",),
                (((queue["name"],), counted.get(queue["name"], (0,) * 4)[index]) for queue in queues),
            )

        yield _counter(
            "hubqueue_jobs_expired",
            "Jobs that were removed because their ttl was over, since the queue is there",
            ("queue",),
            (((queue["name"],), queue["expired"]) for queue in queues),
        )

    def _about_hub(self) -> Iterator[Metric]:
        hub, overview = self._hub, self._overview
        about, storage = overview["hub"], overview["storage"]
        yield _gauge(
            "hubqueue_info",
            "Which hub this is",
            ("version", "hub_id"),
            [((about["version"], about["hubId"]), 1)],
        )
        yield _gauge("hubqueue_queues", "How many queues there are", (), [((), overview["queueCount"])])
        yield _gauge("hubqueue_uptime_seconds", "Since the listeners were opened", (), [((), about["uptimeMs"] / 1000)])
        yield _histogram("hubqueue_job_wait_seconds", "From when jobs were due until their lease", hub.metrics.waited)
        yield _histogram("hubqueue_job_run_seconds", "From the lease of jobs until they completed", hub.metrics.ran)
        yield from self._commits()
        yield _gauge("hubqueue_store_used_bytes", "Pages in use and the log", (), [((), storage["usedBytes"])])
        yield _gauge("hubqueue_store_log_bytes", "The write-ahead log", (), [((), storage["walBytes"])])
        yield _gauge("hubqueue_store_free_bytes", "What the disk has left", (), [((), storage["freeBytes"])])
        yield _gauge("hubqueue_store_disk_full", "Whether new jobs are refused", (), [((), storage["diskFull"])])

    def _commits(self) -> Iterator[Metric]:
        from prometheus_client.core import HistogramMetricFamily

        commits = self._hub.commits
        yield HistogramMetricFamily(
            "hubqueue_commit_seconds",
            "How long commits took",
            buckets=[(_bound(bound), n) for bound, n in commits.times()],
            sum_value=commits.seconds,
        )
        yield HistogramMetricFamily(
            "hubqueue_commit_verbs",
            "How many verbs were committed together",
            buckets=[(_bound(bound), n) for bound, n in commits.sizes()],
            sum_value=commits.verbs,
        )

    def _mqtt(self) -> Iterator[Metric]:
        broker = self._rules.get("broker")
        if broker is None:
            return
        yield _gauge(
            "hubqueue_mqtt_link_up",
            "Whether a connection to the broker is there; the first lane has no name",
            ("lane",),
            (((link["lane"] or "",), link["up"]) for link in broker["links"]),
        )
        yield _counter(
            "hubqueue_mqtt_messages",
            "What became of messages, since the start; docs/mqtt.md says what each word means",
            ("what",),
            (((what,), n) for what, n in broker["counts"].items()),
        )
        yield _gauge("hubqueue_mqtt_unacknowledged", "Messages held for now", (), [((), broker["unacknowledged"])])

    def _forwarders(self) -> Iterator[Metric]:
        shown = self._overview["forwarders"]
        if not shown:
            return

        def each(field: str, unit: float = 1) -> Iterable[tuple[tuple[str, str], float]]:
            return (((forwarder["name"], forwarder["queue"]), (forwarder[field] or 0) / unit) for forwarder in shown)

        labels = ("forwarder", "queue")
        up = (((forwarder["name"], forwarder["queue"]), forwarder["link"] == "up") for forwarder in shown)
        yield _gauge("hubqueue_forwarder_link_up", "Whether the other side takes jobs", labels, up)
        yield _gauge("hubqueue_forwarder_paused", "Whether it was paused", labels, each("paused"))
        yield _gauge("hubqueue_forwarder_alert", "Whether somebody should look at it", labels, each("alert"))
        yield _gauge("hubqueue_forwarder_waiting", "Jobs still to be forwarded", labels, each("waiting"))
        yield _gauge("hubqueue_forwarder_in_flight", "Jobs on their way", labels, each("inFlight"))
        yield _gauge("hubqueue_forwarder_lag_seconds", "Age of the oldest of them", labels, each("oldestMs", 1000))
        yield _counter(
            "hubqueue_forwarder_forwarded", "Jobs the other side has, since the start", labels, each("forwarded")
        )
        yield _counter("hubqueue_forwarder_rejected", "Jobs it will never take", labels, each("rejected"))
        yield _counter("hubqueue_forwarder_released", "Jobs given back when the link broke", labels, each("released"))
        yield _counter("hubqueue_forwarder_batches", "Batches that were sent", labels, each("batches"))
        yield _counter("hubqueue_forwarder_losses", "Times the link went down", labels, each("losses"))

    def _of_sources(self) -> Iterator[Metric]:
        shown = self._sources
        if not shown:
            return
        up = (((source["name"],), source["up"]) for source in shown)
        yield _gauge("hubqueue_source_link_up", "Whether the other side is connected", ("source",), up)
        held = (((source["name"],), source["held"] is not None) for source in shown)
        yield _gauge("hubqueue_source_held", "Whether a full queue or disk holds it back", ("source",), held)
        lags = (((source["name"],), math.nan if source["lag"] is None else source["lag"]) for source in shown)
        yield _gauge("hubqueue_source_lag", "Messages that wait at the other side", ("source",), lags)
        yield _counter(
            "hubqueue_source_messages",
            "What became of messages, since the start; docs/sources.md says what each word means",
            ("source", "what"),
            (((source["name"], what), n) for source in shown for what, n in source["counts"].items()),
        )

    def _of_pipelines(self) -> Iterator[Metric]:
        shown = self._pipelines
        if not shown:
            return

        def each(field: str, unit: float = 1) -> Iterable[tuple[tuple[str, str], float]]:
            return (((pipeline["name"], pipeline["queue"]), pipeline[field] / unit) for pipeline in shown)

        labels = ("pipeline", "queue")
        waits = (((pipeline["name"], pipeline["queue"]), pipeline["trouble"] is not None) for pipeline in shown)
        yield _gauge("hubqueue_pipeline_trouble", "Whether it waits for something to get better", labels, waits)
        yield _gauge("hubqueue_pipeline_open", "Windows and batches that are being filled", labels, each("open"))
        yield _gauge("hubqueue_pipeline_lag_seconds", "How long the last record waited", labels, each("lagMs", 1000))
        yield _gauge("hubqueue_pipeline_step_seconds", "Of its steps for a record", labels, each("usPerRecord", 1e6))
        for field, words in PIPELINES.items():
            yield _counter(f"hubqueue_pipeline_{field}", words, labels, each(field))


def _bound(bound: float) -> str:
    return "+Inf" if bound == float("inf") else repr(bound)


def _gauge(name: str, help: str, labels: Sequence[str], samples: Iterable[tuple[Sequence[str], float]]) -> Metric:
    from prometheus_client.core import GaugeMetricFamily

    family = GaugeMetricFamily(name, help, labels=labels)
    for values, value in samples:
        family.add_metric(values, float(value))
    return family


def _counter(name: str, help: str, labels: Sequence[str], samples: Iterable[tuple[Sequence[str], float]]) -> Metric:
    from prometheus_client.core import CounterMetricFamily

    family = CounterMetricFamily(name, help, labels=labels)
    for values, value in samples:
        family.add_metric(values, float(value))
    return family


def _histogram(name: str, help: str, counts: Sequence[int]) -> Metric:
    """Of the buckets of model/histogram, whose first is 0 ms and whose nth ends below 2**n ms; no sum is kept."""
    from prometheus_client.core import HistogramMetricFamily

    buckets, total = [], 0
    for power, n in enumerate(counts):
        total += n
        buckets.append((repr(2**power / 1000) if power < len(counts) - 1 else "+Inf", total))
    return HistogramMetricFamily(name, help, buckets=buckets, sum_value=None)
