"""/metrics, /health and /ready of a whole hub, read with Prometheus' own parser and checked against docs/metrics.md."""

from __future__ import annotations

import re
from pathlib import Path

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from hubqueue.app import App
from hubqueue.client.address import LinkSettings
from hubqueue.config.pipelines import read_pipeline
from hubqueue.config.settings import Config, Forward, GivenToken, HttpDoor, Mqtt, TcpDoor
from hubqueue.forward.destination import HubDestination
from hubqueue.forward.settings import ForwardSettings
from hubqueue.ingest.into import Into
from hubqueue.model.access import Grant, Scope
from hubqueue.model.job import NewJob, Options
from hubqueue.model.outcome import Complete, Reject, Settlement
from hubqueue.mqtt.rules import Rule
from hubqueue.mqttclient.broker import Broker
from hubqueue.sources.settings import KafkaBrokers, KafkaSource
from support.mosquitto import Mosquitto
from support.ports import free_port
from support.waiting import until

DOCS = Path(__file__).parents[4] / "docs"
LIMITED = GivenToken("limited", Grant("limited", frozenset({Scope.READ}), frozenset({"a"})))
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def config(folder: Path, broker_port: int, uplink_port: int) -> Config:
    uplink = LinkSettings.from_url(f"tcp://127.0.0.1:{uplink_port}")
    (folder / "passed.yaml").write_text("name: passed\nfrom: {queue: raw}\nto: {queue: done}\n")
    return Config(
        data_path=folder / "hub.db",
        tcp=TcpDoor(port=0, tokens=("admin", LIMITED)),
        http=HttpDoor(port=0),
        mqtt=Mqtt(Broker.from_url(f"mqtt://127.0.0.1:{broker_port}"), (Rule(topic="s/#", queue="m"),)),
        forwarders=(Forward(HubDestination(uplink), ForwardSettings(backoff_s=0.05), queue="up"),),
        sources=(KafkaSource(name="k", brokers=KafkaBrokers(("127.0.0.1:1",)), topics=("t",), into=Into(queue="m")),),
        pipelines=(read_pipeline(folder / "passed.yaml"),),
        drain_s=0.5,
    )


async def ask(app: App, path: str, token: str | None = "admin") -> tuple[int, str]:
    assert app.doors.http is not None
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    async with (
        aiohttp.ClientSession(f"http://127.0.0.1:{app.doors.http.port}", headers=headers) as session,
        session.get(path) as answer,
    ):
        return answer.status, await answer.text()


async def scraped(app: App, token: str = "admin") -> Samples:
    status, text = await ask(app, "/metrics", token)
    assert status == 200, text
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def of(samples: Samples, name: str, **labels: str) -> float:
    return samples[name, tuple(sorted(labels.items()))]


def is_bridged(app: App) -> bool:
    bridge = app.running.bridge
    return bridge is not None and all(link.up for link in bridge.links.values())


async def some_work(app: App) -> None:
    await app.hub.enqueue("a", [NewJob(), NewJob(), NewJob(priority=3), NewJob(delay_ms=60_000)])
    await app.hub.enqueue("a", [NewJob(created_at_ms=1, options=Options(ttl_ms=1))])
    await app.hub.enqueue("up", [NewJob()])
    first, second = await app.hub.lease("a", 2, owner="w")
    await app.hub.settle([Settlement(first.job.id, first.token, Complete())])
    await app.hub.settle([Settlement(second.job.id, second.token, Reject("no"))])


async def test_the_figures_are_those_of_the_hub(tmp_path: Path) -> None:
    async with Mosquitto(tmp_path) as broker, App(config(tmp_path, broker.port, free_port())) as app:
        await some_work(app)
        await until(lambda: is_bridged(app))
        samples = await scraped(app)
    assert of(samples, "hubqueue_jobs", queue="a", state="waiting") == 1
    assert of(samples, "hubqueue_jobs_expired_total", queue="a") == 1
    assert of(samples, "hubqueue_jobs", queue="a", state="delayed") == 1
    assert of(samples, "hubqueue_jobs", queue="a", state="completed") == 1
    assert of(samples, "hubqueue_jobs", queue="a", state="failed") == 1
    assert of(samples, "hubqueue_jobs_enqueued_total", queue="a") == 5
    assert of(samples, "hubqueue_jobs_leased_total", queue="a") == 2
    assert of(samples, "hubqueue_jobs_completed_total", queue="a") == 1
    assert of(samples, "hubqueue_jobs_dead_total", queue="a") == 1
    assert of(samples, "hubqueue_job_wait_seconds_bucket", le="+Inf") == 2
    assert of(samples, "hubqueue_job_run_seconds_bucket", le="+Inf") == 1
    assert of(samples, "hubqueue_commit_seconds_count") == of(samples, "hubqueue_commit_verbs_count") > 3
    assert of(samples, "hubqueue_commit_verbs_sum") > 3
    assert of(samples, "hubqueue_commit_seconds_sum") > 0
    assert of(samples, "hubqueue_mqtt_link_up", lane="") == 1
    assert of(samples, "hubqueue_mqtt_messages_total", what="received") == 0
    assert of(samples, "hubqueue_forwarder_link_up", forwarder="up", queue="up") == 0
    assert of(samples, "hubqueue_forwarder_waiting", forwarder="up", queue="up") == 1
    assert of(samples, "hubqueue_pipeline_trouble", pipeline="passed", queue="raw") == 0
    assert of(samples, "hubqueue_pipeline_taken_total", pipeline="passed", queue="raw") == 0
    assert of(samples, "hubqueue_store_disk_full") == 0
    assert of(samples, "process_resident_memory_bytes") > 1_000_000


async def test_every_figure_is_documented_and_no_other(tmp_path: Path) -> None:
    async with Mosquitto(tmp_path) as broker, App(config(tmp_path, broker.port, free_port())) as app:
        await some_work(app)
        _, text = await ask(app, "/metrics")
    shown = {family.name for family in text_string_to_metric_families(text) if family.name.startswith("hubqueue_")}
    documented = re.findall(r"^\| `(hubqueue_\w+?)(?:_total)?`", (DOCS / "metrics.md").read_text(), re.MULTILINE)
    assert sorted(shown) == sorted(documented)


async def test_alerts_and_dashboard_name_figures_that_exist(tmp_path: Path) -> None:
    async with Mosquitto(tmp_path) as broker, App(config(tmp_path, broker.port, free_port())) as app:
        await some_work(app)
        samples = {name for name, _ in await scraped(app)}
    for name in ("prometheus-alerts.yml", "grafana-dashboard.json"):
        used = set(re.findall(r"\bhubqueue_\w+", (DOCS / "monitoring" / name).read_text()))
        assert used
        assert used - samples == set(), name


async def test_a_token_of_one_queue_sees_that_queue_only(tmp_path: Path) -> None:
    async with Mosquitto(tmp_path) as broker, App(config(tmp_path, broker.port, free_port())) as app:
        await some_work(app)
        samples = await scraped(app, "limited")
        assert (await ask(app, "/metrics", None))[0] == 401
    assert {dict(labels).get("queue") for _, labels in samples} == {"a"}


async def test_readiness_names_what_is_missing_and_strangers_hear_yes_or_no(tmp_path: Path) -> None:
    async with Mosquitto(tmp_path) as broker, App(config(tmp_path, broker.port, free_port())) as app:
        await until(lambda: is_bridged(app))
        assert await ask(app, "/health", None) == (200, '{"status":"ok"}')
        status, text = await ask(app, "/ready")
        assert status == 503
        assert '"name":"mqtt","ok":true' in text
        assert '"name":"forwarder:up","ok":false' in text
        assert await ask(app, "/ready", None) == (503, '{"ready":false}')
        assert await ask(app, "/ready", "limited") == (503, '{"ready":false}')
        assert await ask(app, "/ready?links=no", None) == (200, '{"ready":true}')
        app.hub.drain_off()
        assert await ask(app, "/ready?links=no", None) == (503, '{"ready":false}')
