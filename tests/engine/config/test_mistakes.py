"""Every mistake of a configuration is reported at once, where it is and with what to do."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from hubqueue.config.load import load
from hubqueue.config.mistakes import ConfigMistakes, Mistake
from hubqueue.config.path import dotted

TEN = """\
data_path: 7
tcp:
  port: 99999
  tokns: [a]
mqtt:
  url: http://x
  rules:
    - topic: a/#/b
      queue: ok
      delay: 10
    - topic: sensors/{kind}
      queue: "{room}"
forwarders:
  - queue: x
log: {level: loud}
log: {}
"""


def mistakes(folder: Path, text: str, environ: Mapping[str, str] | None = None) -> list[Mistake]:
    file = folder / "hubqueue.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigMistakes) as caught:
        load(file, environ=environ or {})
    return list(caught.value.mistakes)


def by_path(found: list[Mistake]) -> dict[str, Mistake]:
    return {dotted(mistake.path): mistake for mistake in found}


def test_a_file_with_ten_different_errors_reports_ten_errors(tmp_path: Path) -> None:
    found = mistakes(tmp_path, TEN)
    assert [(mistake.line, dotted(mistake.path)) for mistake in found] == [
        (1, "data_path"),
        (3, "tcp.port"),
        (4, "tcp.tokns"),
        (6, "mqtt.url"),
        (8, "mqtt.rules[0].topic"),
        (10, "mqtt.rules[0].delay"),
        (11, "mqtt.rules[1]"),
        (14, "forwarders[0].to"),
        (15, "log.level"),
        (16, "log"),
    ]


def test_the_report_names_file_line_path_value_and_hint(tmp_path: Path) -> None:
    found = by_path(mistakes(tmp_path, TEN))
    assert str(found["data_path"]) == "hubqueue.yaml:1: data_path: must be text, not 7 (put it in quotes)"
    assert str(found["tcp.tokns"]) == "hubqueue.yaml:4: tcp.tokns: is not a known key (did you mean 'tokens'?)"
    assert "as in 500ms" in found["mqtt.rules[0].delay"].hint
    assert "first on line 15" in found["log"].hint


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("null", "null"),
        ("true", "true"),
        ("[null, {a: false}]", '[null, {"a": false}]'),
        ("2026-11-30", "2026-11-30"),
        (".nan", "NaN"),
        ("{2026-11-30: 1}", ""),
    ],
)
def test_a_value_is_told_in_the_words_of_yaml(tmp_path: Path, written: str, told: str) -> None:
    assert f"must be text, not {told}" in str(by_path(mistakes(tmp_path, f"data_path: {written}"))["data_path"])


def test_invalid_yaml_is_told_with_its_line(tmp_path: Path) -> None:
    (mistake,) = mistakes(tmp_path, "tcp:\n  port: 1\n bad: 2\n")
    assert mistake.line == 3
    assert "not valid YAML" in mistake.message


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("tcp: {tls: {cert_file: hubqueue.yaml}}", "tcp.tls.key_file"),
        ("tcp: {tls: {cert_file: none.pem, key_file: hubqueue.yaml}}", "tcp.tls.cert_file"),
        ("tcp: {tokens: [a], token_file: hubqueue.yaml}", "tcp.token_file"),
        ("tcp: {tokens: text}", "tcp.tokens"),
        ("tcp: {tokens: [{name: a}]}", "tcp.tokens[0].token"),
        ("tcp: {tokens: [{token: a}]}", "tcp.tokens[0].name"),
        ("tcp: {tokens: [{name: a b, token: x}]}", "tcp.tokens[0].name"),
        ("tcp: {tokens: [{name: a, token: x, scopes: [write]}]}", "tcp.tokens[0].scopes"),
        ("tcp: {tokens: [{name: a, token: x, scopes: []}]}", "tcp.tokens[0].scopes"),
        ("tcp: {tokens: [{name: a, token: x}, {name: a, token: y}]}", "tcp.tokens[1].name"),
        ("http: {ingress: {trusted: supervisor}}", "http.ingress.trusted"),
        ("tcp: {port: true}", "tcp.port"),
        ("mqtt: {}", "mqtt.url"),
        ("mqtt: {url: 'mqtt://h', ca_file: hubqueue.yaml}", "mqtt.ca_file"),
        ("mqtt: {url: 'mqtt://h', password: x}", "mqtt.password"),
        ("mqtt: {url: 'mqtt://h:port'}", "mqtt.url"),
        ("mqtt: {url: 'mqtt://h', rules: [{topic: a, queue: a, where: '1 +'}]}", "mqtt.rules[0].where"),
        ("mqtt: {url: 'mqtt://h', rules: [{topic: a, queue: a, payload: jsn}]}", "mqtt.rules[0].payload"),
        ("mqtt: {url: 'mqtt://h', rules: [{topic: a, queue: a, payload: csv}]}", "mqtt.rules[0].payload"),
        ("mqtt: {url: 'mqtt://h', rules: [{topic: a, queue: a, dedup: {ttl: 1s}}]}", "mqtt.rules[0].dedup.key"),
        ("mqtt: {url: 'mqtt://h', rules: {topic: a}}", "mqtt.rules"),
        ("forwarders: [{queue: a, to: 'tcp://h', ca_file: hubqueue.yaml}]", "forwarders[0].ca_file"),
        ("forwarders: [{queue: 'a b', to: 'tcp://h'}]", "forwarders[0].queue"),
        ("forwarders: [{queue: a, to: 'tcp://h', batch: 0}]", "forwarders[0].batch"),
        ("forwarders: [{queue: a, to: 'tcp://h'}, {queue: a, name: b, to: 'tcp://i'}]", "forwarders[1].queue"),
        ("forwarders: [{queue: a, to: 'tcp://h'}, {queue: b, name: a, to: 'tcp://i'}]", "forwarders[1].name"),
        ("forwarders: [{queue: a, to: 'tcp://h', name: 'a b'}]", "forwarders[0].name"),
        ("forwarders: [{queue: a, to: 'tcp://h', schedule: {windows: [noon]}}]", "forwarders[0].schedule.windows[0]"),
        ("forwarders: [{queue: a, to: 'tcp://h', schedule: {windows: []}}]", "forwarders[0].schedule"),
        ("handlers: {}", "handlers.folder"),
        ("queues: {a: {on_full: drop-oldest}}", "queues.a.on_full"),
        ("queues: {a: {keep_completed: {age: 5}}}", "queues.a.keep_completed.age"),
        ("durability: {sync_interval: -1s}", "durability.sync_interval"),
        ("storage: {max_size: 1KB}", "storage.max_size"),
        ("storage: {max_size: 5}", "storage.max_size"),
        ("drain: 2h", "drain"),
        ("- a list", ""),
        ("x: &a [*a]", "x"),
        ("data_path: ${NOT_SET_ANYWHERE}", "data_path"),
    ],
)
def test_a_mistake_is_found_where_it_is(tmp_path: Path, text: str, path: str) -> None:
    assert path in by_path(mistakes(tmp_path, text))


def test_every_wrong_item_of_a_list_is_told(tmp_path: Path) -> None:
    found = mistakes(tmp_path, "tcp: {tokens: [1, ok, 2, '']}")
    assert [dotted(mistake.path) for mistake in found] == ["tcp.tokens[0]", "tcp.tokens[2]", "tcp.tokens[3]"]


def test_a_secret_is_not_shown_in_a_mistake(tmp_path: Path) -> None:
    found = mistakes(
        tmp_path,
        "tcp: {tokens: [12345]}\nmqtt: {url: 'http://user:hunter2@host', password: 67890}\n",
    )
    text = "\n".join(map(str, found))
    assert len(found) == 3
    for secret in ("12345", "67890", "hunter2"):
        assert secret not in text


def test_a_wrong_variable_is_told_by_its_name(tmp_path: Path) -> None:
    (mistake,) = mistakes(tmp_path, "", {"HUBQUEUE_TCP_PORT": "many"})
    assert (mistake.source, mistake.line) == ("HUBQUEUE_TCP_PORT", None)
    assert str(mistake) == "HUBQUEUE_TCP_PORT: tcp.port: must be a whole number, not 'many'"


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigMistakes, match="cannot be read"):
        load(tmp_path / "none.yaml", environ={})


def test_signs_of_yaml_without_quotes_are_told(tmp_path: Path) -> None:
    rules = "mqtt:\n  url: mqtt://h\n  rules:\n  - topic: s/{kind}\n    queue: {kind}\n  - topic: #\n    queue: all\n"
    found = by_path(mistakes(tmp_path, rules))
    assert found["mqtt.rules[0].queue"].hint == 'put it in quotes: "{kind}"'
    assert "begins with # needs quotes" in found["mqtt.rules[1].topic"].hint


@pytest.mark.parametrize("rule", ["where: payloa.t > 1", "where: roum == 'hall'", "dedup: {key: '{{ roum }}'}"])
def test_a_name_that_a_rule_does_not_have_is_told(tmp_path: Path, rule: str) -> None:
    text = f"mqtt:\n  url: mqtt://h\n  rules:\n  - topic: s/{{room}}\n    queue: q\n    {rule}\n"
    (found,) = mistakes(tmp_path, text)
    assert (dotted(found.path), found.line) == ("mqtt.rules[0]", 4)
    assert "did you mean" in found.hint or "did you mean" in found.message
