"""Defaults of the container, hubqueue.yaml, the app's options: what goes before what."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hubqueue.config.mistakes import ConfigMistakes
from hubqueue.config.settings import Config, GivenToken
from hubqueue.container.configuration import configure, integration_token
from hubqueue.container.layout import Layout
from hubqueue.errors import ConfigError
from hubqueue.model.access import Scope

ENVIRON = {"SUPERVISOR_TOKEN": "s"}


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    layout = Layout(data=tmp_path / "data", config=tmp_path / "config", ssl=tmp_path / "ssl")
    for folder in (layout.data, layout.config, layout.ssl):
        folder.mkdir()
    return layout


def configured(layout: Layout, options: dict[str, Any], settings: str = "", **environ: str) -> Config:
    layout.options.write_text(json.dumps(options))
    if settings:
        layout.settings.write_text(settings)
    return configure(layout, {}, {**ENVIRON, **environ})


def test_without_options_everything_is_where_the_app_has_it(layout: Layout) -> None:
    config = configure(layout, {}, ENVIRON)
    assert config.data_path == layout.live / "hub.db"
    assert config.http.ingress is not None
    assert config.http.ingress.trusted == "172.30.32.2"
    assert config.http.internal is not None
    assert config.handlers is not None
    assert config.handlers.folder == layout.handlers
    assert config.supervised is not None
    assert config.supervised.url == "http://supervisor"
    assert config.supervised.mqtt


def test_options_go_before_the_file_and_variables_before_both(layout: Layout) -> None:
    file = "log: {level: error}\ndrain: 3s\n"
    assert configured(layout, {"log_level": "debug"}, file).log.level == "debug"
    assert configured(layout, {"log_level": "debug"}).drain_s == 3
    assert configured(layout, {}).log.level == "error"
    assert configured(layout, {"log_level": "debug"}, HUBQUEUE_LOG_LEVEL="warning").log.level == "warning"


def test_a_pipeline_that_publishes_needs_a_broker_with_an_address(layout: Layout) -> None:
    (layout.config / "p.yaml").write_text("name: p\nfrom: {queue: q}\nto: {mqtt: {topic: t}}\n")
    with pytest.raises(ConfigError, match="'to: mqtt' needs the address of the broker"):
        configured(layout, {}, "pipelines: [p.yaml]\n")
    config = configured(layout, {}, "pipelines: [p.yaml]\nmqtt: {url: 'mqtt://broker.example'}\n")
    assert [each.to for each in config.forwarders] == ["mqtt://broker.example:1883"]


def test_forwarders_of_form_and_file_are_all_there(layout: Layout) -> None:
    file = "forwarders: [{queue: a, to: 'tcp://central'}]\n"
    config = configured(layout, {"forwarders": [{"queue": "b", "to": "tcp://other", "target": ""}]}, file)
    assert [(each.queue, each.to) for each in config.forwarders] == [
        ("a", "tcp://central:6789"),
        ("b", "tcp://other:6789"),
    ]


def test_a_mistake_names_the_option(layout: Layout) -> None:
    file = "forwarders: [{queue: a, to: 'tcp://central'}]\n"
    with pytest.raises(ConfigMistakes, match="the app's options: forwarders"):
        configured(layout, {"forwarders": [{"queue": "b", "to": "ftp://other"}]}, file)


def test_the_job_file_stays_where_backups_find_it(layout: Layout) -> None:
    assert configured(layout, {}, "data_path: elsewhere.db\n").data_path == layout.live / "hub.db"


@pytest.mark.parametrize(
    ("options", "file", "handed_out", "host"),
    [
        ({}, "mqtt: {rules: [{topic: a, queue: b}]}", True, "core-mosquitto"),
        ({"mqtt_url": "mqtt://own", "mqtt_username": "u", "mqtt_password": "p"}, "", False, "own"),
        ({"mqtt_url": ""}, "mqtt: {url: 'mqtt://own'}", False, "own"),
        ({"mqtt": False}, "mqtt: {rules: [{topic: a, queue: b}]}", False, None),
        ({"mqtt": False}, "", False, None),
    ],
)
def test_who_says_where_the_broker_is(
    layout: Layout, options: dict[str, Any], file: str, handed_out: bool, host: str | None
) -> None:
    config = configured(layout, options, file)
    assert config.supervised is not None
    assert config.supervised.mqtt is handed_out
    assert (config.mqtt.broker.host if config.mqtt else None) == host


def test_the_integrations_token_is_made_once_and_kept_private(layout: Layout) -> None:
    token = integration_token(layout)
    assert integration_token(layout) == token
    assert layout.token.stat().st_mode & 0o077 == 0
    config = configure(layout, {}, ENVIRON)
    (given,) = config.tcp.tokens
    assert isinstance(given, GivenToken)
    assert given.secret == token
    assert given.grant.scopes == {Scope.ADMIN}
    assert token not in repr(config)


def test_certificates_are_copied_for_the_hubs_user(layout: Layout) -> None:
    (layout.ssl / "full.pem").write_text("cert")
    (layout.ssl / "key.pem").write_text("key")
    config = configured(layout, {"certfile": "full.pem", "keyfile": "key.pem"})
    for door in (config.tcp, config.http):
        assert door.cert_file == layout.certificates / "full.pem"
        assert door.key_file == layout.certificates / "key.pem"
    assert (layout.certificates / "key.pem").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"certfile": "full.pem"}, "need each other"),
        ({"certfile": "full.pem", "keyfile": "no.pem"}, "certificate cannot be read"),
    ],
)
def test_half_a_certificate_is_refused(layout: Layout, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        configured(layout, options)


def test_options_that_are_none_are_refused(layout: Layout) -> None:
    layout.options.write_text("[]")
    with pytest.raises(ConfigError, match="holds no options"):
        configure(layout, {}, ENVIRON)


def test_outside_of_home_assistant_the_flag_makes_no_sense(layout: Layout) -> None:
    with pytest.raises(ConfigError, match="SUPERVISOR_TOKEN"):
        configure(layout, {}, {})
