"""The configuration as it was loaded, over the wire: whole, with origins, without a secret."""

from __future__ import annotations

from pathlib import Path

from hubqueue.admin.configuration import HIDDEN
from hubqueue.app import App
from hubqueue.config.load import load
from support.wire import WireClient

LOOK_UP = ("look-up-token", "look-up-key")
OTHERS = ("query-key", "http-token", "header-key", "influx-password")
SECRETS = ("first-token", "mqtt-password", "central-token", "url-password", "named-token", *OTHERS, *LOOK_UP)
FILE = """
data_path: hub.db
tcp:
  port: 0
  tokens: [first-token, {name: grafana, token: named-token, scopes: [read]}]
http: {port: 0}
mqtt:
  url: mqtt://user:url-password@127.0.0.1:1
  password: mqtt-password
  rules:
    - {topic: a, queue: q, backoff: {delay: 2s}}
forwarders:
  - {queue: q, to: "tls://central.example", token: central-token, schedule: {windows: ["22:00-06:00"]}}
  - {queue: m, to: "mqtt://user:url-password@h", mqtt: {topic: "{{ data.a }}"}}
  - {queue: h, to: "https://h/?key=query-key", http: {token: http-token, headers: {X-Key: header-key}}}
  - {queue: i, to: "influx+http://h", influx: {database: d, fields: [v], username: u, password: influx-password}}
pipelines: [p.yaml]
queues:
  readings: {max_jobs: 10}
"""
PIPELINE = """
name: p
from: {queue: q2}
steps:
  - enrich: {http: {url: "http://h/{{ data.x }}", token: look-up-token, headers: {X-Key: look-up-key}}, pick: {a: b}}
to: {queue: r}
"""


async def test_the_configuration_is_told_whole_and_without_a_secret(tmp_path: Path) -> None:
    (tmp_path / "hubqueue.yaml").write_text(FILE)
    (tmp_path / "p.yaml").write_text(PIPELINE)
    config = load(tmp_path / "hubqueue.yaml", environ={"HUBQUEUE_LOG_LEVEL": "warning"}, flags={"host": "127.0.0.1"})
    async with App(config) as app:
        client = await WireClient.open(app.tcp.port)
        await client.good("Auth", token="first-token")
        told = await client.good("Config")
        await client.close()
    assert [secret for secret in SECRETS if secret in str(told)] == []
    shown, origins = told["config"], told["origins"]
    assert shown["tcp"]["tokens"] == HIDDEN
    assert shown["mqtt"]["broker"]["password"] == HIDDEN
    assert shown["forwarders"][0]["destination"]["link"]["token"] == HIDDEN
    assert shown["pipelines"][0]["steps"] == [{"name": "enrich"}]
    assert shown["forwarders"][0]["hours"]["windows"] == ["22:00-06:00"]
    assert shown["mqtt"]["rules"][0]["options"]["backoff"]["delay_ms"] == 2000
    assert shown["hub"]["queues"]["readings"]["max_jobs"] == 10
    assert shown["hub"]["forward_kept"] == 10_000_000  # a default
    assert shown["data_path"] == str(tmp_path / "hub.db")
    assert origins["tcp.port"] == "hubqueue.yaml:4"
    assert origins["mqtt.rules[0].queue"] == "hubqueue.yaml:11"
    assert (origins["log.level"], origins["tcp.host"]) == ("HUBQUEUE_LOG_LEVEL", "--host")
    assert "drain" not in origins
    assert "tcp" not in origins
