"""Layers of the configuration: file, then variables, then flags; and what each section becomes."""

from __future__ import annotations

from pathlib import Path

import pytest

from hubqueue.config.load import load
from hubqueue.config.settings import Config, GivenToken, is_loopback
from hubqueue.forward.destination import HubDestination
from hubqueue.model.access import Grant, Scope
from hubqueue.model.job import Dedup
from hubqueue.model.retry import Backoff

FULL = """
data_path: data/hub.db
drain: 5s
tcp:
  host: 0.0.0.0
  port: 7000
  tokens: [one, two]
mqtt:
  url: mqtt://user:p%40ss@broker.example
  protocol: "3.1.1"
  rules:
    - topic: sensors/{kind}/{room}
      queue: "{kind}"
      name: reading
      payload: number
      where: payload > 3
      delay: 5s
      attempts: 7
      backoff: {type: fixed, delay: 2s, max: 1m}
      ttl: 1h
      durable: true
      dedup: {key: "{{ room }}", ttl: 10s}
      tags: [a, b]
    - topic: files/+
      queue: files
      payload: {kind: csv, columns: [time, "value:number"], delimiter: ";"}
forwarders:
  - queue: readings
    to: tcp://central.example
    token: hush
    concurrency: 4
    backoff_cap: 2m
handlers:
  folder: handlers
  max_memory: 256MB
queues:
  "*": {keep_completed: {count: 10, age: forever}}
  readings: {max_jobs: 1000, on_full: drop-oldest, dlq: {count: 5, age: 30d}}
durability: {durable: true, sync_interval: 500ms, linger: 200ms}
storage: {max_size: 2GB, on_full: reject}
log: {level: debug, format: json}
"""


def write(folder: Path, text: str) -> Path:
    file = folder / "hubqueue.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_an_empty_file_gives_the_defaults(tmp_path: Path) -> None:
    config = load(write(tmp_path, "# nothing\n"), environ={})
    assert (config.tcp.host, config.tcp.port, config.tcp.tokens) == ("127.0.0.1", 6789, ())
    assert config.mqtt is None
    assert config.handlers is None
    assert config.forwarders == ()


def test_no_file_at_all_gives_the_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load(environ={}).data_path == Path("hub.db")


def test_every_section_becomes_its_value(tmp_path: Path) -> None:
    config = load(write(tmp_path, FULL), environ={})
    assert config.data_path == tmp_path / "data" / "hub.db"
    assert config.drain_s == 5.0
    assert config.tcp.tokens == ("one", "two")
    assert config.mqtt is not None
    broker = config.mqtt.broker
    assert (broker.host, broker.port, broker.username, broker.password) == ("broker.example", 1883, "user", "p@ss")
    assert broker.version == "3.1.1"
    reading, files = config.mqtt.rules
    assert (reading.queue, reading.name, reading.delay_ms, reading.max_attempts) == ("{kind}", "reading", 5000, 7)
    assert reading.options.backoff == Backoff(kind="fixed", delay_ms=2000, max_ms=60_000)
    assert reading.options.dedup == Dedup(key="{{ room }}", ttl_ms=10_000)
    assert (reading.options.ttl_ms, reading.options.durable, reading.options.tags) == (3_600_000, True, ("a", "b"))
    assert files.payload.columns == ("time", "value:number")
    (forward,) = config.forwarders
    there = forward.destination
    assert isinstance(there, HubDestination)
    assert (forward.queue, there.target, there.link.token, there.durable) == ("readings", None, "hush", True)
    assert (forward.settings.concurrency, forward.settings.backoff_cap_s) == (4, 120.0)
    assert config.handlers is not None
    assert config.handlers.folder == tmp_path / "handlers"
    assert config.handlers.max_memory_bytes == 256_000_000
    assert (config.hub.durable, config.hub.sync_interval_s, config.hub.linger_s) == (True, 0.5, 0.2)
    assert config.hub.max_bytes == 2_000_000_000
    assert (config.log.level, config.log.format) == ("debug", "json")


def test_a_queue_starts_from_the_entry_for_all_queues(tmp_path: Path) -> None:
    settings = load(write(tmp_path, FULL), environ={}).hub
    assert (settings.bounds.keep_completed, settings.bounds.keep_completed_ms) == (10, None)
    readings = settings.queues["readings"]
    assert (readings.keep_completed, readings.max_jobs, readings.on_full) == (10, 1000, "drop-oldest")
    assert (readings.max_dead, readings.keep_dead_ms) == (5, 30 * 86_400_000)


def test_a_variable_goes_before_the_file_and_a_flag_before_both(tmp_path: Path) -> None:
    file = write(tmp_path, "tcp: {port: 1}\nlog: {level: debug}\n")
    environ = {"HUBQUEUE_TCP_PORT": "2", "HUBQUEUE_LOG_LEVEL": "error"}
    assert load(file, environ=environ).tcp.port == 2
    config = load(file, environ=environ, flags={"tcp_port": 3})
    assert (config.tcp.port, config.log.level) == (3, "error")


def test_an_empty_variable_counts_as_not_set(tmp_path: Path) -> None:
    file = write(tmp_path, "tcp: {port: 1}\n")
    assert load(file, environ={"HUBQUEUE_TCP_PORT": "", "HUBQUEUE_MQTT_URL": ""}).tcp.port == 1


def test_tokens_of_a_variable_replace_those_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "tokens").write_text("filed\n", encoding="utf-8")
    file = write(tmp_path, "tcp: {token_file: tokens}\n")
    assert load(file, environ={}).tcp.tokens == ("filed",)
    assert load(file, environ={"HUBQUEUE_AUTH_TOKENS": "a, b"}).tcp.tokens == ("a", "b")


def test_an_empty_list_of_tokens_turns_authentication_off(tmp_path: Path) -> None:
    file = write(tmp_path, "tcp: {tokens: [x]}\n")
    assert load(file, environ={"HUBQUEUE_AUTH_TOKENS": ""}).tcp.tokens == ()


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.9.9.9", "::1"])
def test_loopback_is_known(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "hub.example", ""])
def test_what_others_can_reach_is_no_loopback(host: str) -> None:
    assert not is_loopback(host)


def test_tokens_may_have_a_name_scopes_and_queues(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("filed\n", encoding="utf-8")
    file = write(
        tmp_path,
        """
        tcp:
          tokens:
            - plain
            - {name: grafana, token_file: secret, scopes: [read], queues: [a, b]}
            - {name: phone, token: shown}
        """,
    )
    plain, grafana, phone = load(file, environ={}).tcp.tokens
    assert plain == "plain"
    assert isinstance(grafana, GivenToken)
    assert isinstance(phone, GivenToken)
    assert (grafana.secret, grafana.grant) == ("filed", Grant("grafana", frozenset({Scope.READ}), frozenset("ab")))
    assert phone.grant.unlimited
    assert "filed" not in repr(load(file, environ={}))


def test_http_is_on_by_default_on_loopback() -> None:
    door = Config().http
    assert (door.enabled, door.host, door.port, door.ingress) == (True, "127.0.0.1", 6790, None)


def test_paths_of_the_file_start_from_its_folder_and_flags_from_the_working_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "work").mkdir()
    file = write(tmp_path / "conf", "data_path: x.db\n")
    monkeypatch.chdir(tmp_path / "work")
    assert load(file, environ={}).data_path == tmp_path / "conf" / "x.db"
    assert load(file, environ={}, flags={"data_path": "y.db"}).data_path == tmp_path / "work" / "y.db"


def test_a_variable_fills_a_text(tmp_path: Path) -> None:
    file = write(tmp_path, "tcp:\n  tokens: ['${TOKEN}', 'a$${b}']\n")
    assert load(file, environ={"TOKEN": "s3cret"}).tcp.tokens == ("s3cret", "a${b}")


def test_secrets_do_not_show_in_the_configuration(tmp_path: Path) -> None:
    text = repr(load(write(tmp_path, FULL), environ={}))
    for secret in ("hush", "p@ss", "'one'"):
        assert secret not in text


def test_a_mqtt_url_alone_is_enough(tmp_path: Path) -> None:
    config = load(write(tmp_path, ""), environ={"HUBQUEUE_MQTT_URL": "mqtt://localhost:1884"})
    assert config.mqtt is not None
    assert config.mqtt.broker.port == 1884
