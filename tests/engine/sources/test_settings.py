"""What a source is told: the examples of the guide work, mistakes are named with what to do; records become jobs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from hubqueue.config.load import load
from hubqueue.config.mistakes import ConfigMistakes
from hubqueue.errors import Invalid
from hubqueue.ingest.into import Into
from hubqueue.model.job import Dedup, Options
from hubqueue.model.payload import decode
from hubqueue.sources.address import kafka_address
from hubqueue.sources.message import Message
from hubqueue.sources.routing import SourceRouting
from hubqueue.sources.settings import AmqpSource, KafkaSource

GUIDE = (Path(__file__).parents[3] / "docs" / "sources.md").read_text()
NOW_MS = 1_750_000_000_000


def loaded(folder: Path, text: str) -> tuple[Any, ...]:
    (folder / "secrets").mkdir(exist_ok=True)
    (folder / "secrets" / "rabbit").write_text("p@ss:word/\n")
    file = folder / "hubqueue.yaml"
    file.write_text(text)
    return load(file, environ={}).sources


def test_the_examples_of_the_guide_work(tmp_path: Path) -> None:
    examples = re.findall(r"^```yaml\n(.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
    (plant,) = loaded(tmp_path, examples[0])
    (orders,) = loaded(tmp_path, examples[1])
    assert isinstance(plant, KafkaSource)
    assert (plant.brokers.servers, plant.topics, plant.group) == (("kafka.example:9092",), ("readings",), "hub-7")
    assert isinstance(orders, AmqpSource)
    assert orders.url == "amqp://shop:p%40ss%3Aword%2F@rabbit.example/"
    assert "p%40ss" not in repr(orders)


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"from": "kafka://k/"}, "names no topic"),
        ({"from": "kafka://k:99999/t"}, "not the address of a broker"),
        ({"from": "kafka://k/t?grop=x"}, "grop"),
        ({"from": "mqtt://k/t"}, "must start with"),
        ({"amqp": {"queue": "q"}}, "makes no sense with kafka://"),
        ({"ca_file": "ca.pem"}, "makes no sense without encryption"),
        ({"kafka": {"username": "u"}}, "username and password go together"),
        ({"kafka": {"instance": "hub 7"}}, "cannot name an instance"),
        ({"kafka": {"instance": ".."}}, "cannot name an instance"),
        ({"kafka": {"instance": "x" * 250}}, "cannot name an instance"),
        ({"payload": {"kind": "json", "timezone": "Europe"}}, "not a time zone"),
        ({"payload": {"kind": "text", "time_unit": "ms"}}, "times make no sense"),
        ({"where": "payload.x >"}, "where"),
        ({"where": "data.x > 1"}, "where"),
        ({"queue": "a b"}, "queue"),
        ({"queue": "{{ nothing }}"}, "nothing"),
        ({"payload": "xml"}, "payload"),
        ({"on_full": "later"}, "on_full"),
        ({"from": "amqp://k/"}, "is missing"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, keys: dict[str, Any], words: str) -> None:
    (tmp_path / "ca.pem").write_text("x")
    source = {"name": "s", "from": "kafka://k/t", "queue": "q"} | keys
    with pytest.raises(ConfigMistakes) as caught:
        loaded(tmp_path, yaml.safe_dump({"sources": [source]}))
    assert words in str(caught.value)
    assert "sources[0]" in str(caught.value)


def test_two_sources_have_two_names(tmp_path: Path) -> None:
    source = {"name": "s", "from": "kafka://k/t", "queue": "q"}
    with pytest.raises(ConfigMistakes, match="another source's name"):
        loaded(tmp_path, yaml.safe_dump({"sources": [source, source]}))


def test_an_address_names_servers_topics_and_group() -> None:
    found = kafka_address("kafkas://me:p%40ss@a,b:1234,[::1]:9/one,two?group=g")
    assert found.servers == ("a:9092", "b:1234", "[::1]:9")
    assert (found.topics, found.group, found.encrypted) == (("one", "two"), "g", True)
    assert (found.username, found.password) == ("me", "p@ss")
    assert "p@ss" not in repr(found)


def test_a_message_that_cannot_be_a_job_is_kept_with_the_reason() -> None:
    routing = SourceRouting("plant", Into(queue="{{ payload.kind }}"))
    good = Message("t", b'{"kind": "a"}', NOW_MS)
    bad = [b"{", b"{}", b'{"kind": ""}', b'{"kind": "_overflow"}', b'{"kind": "' + b"x" * 257 + b'"}']
    found = routing.route([good, *(Message("t", payload) for payload in bad)], NOW_MS)
    assert [taken.queue for taken in found.taken] == ["a"]
    assert [reason for _, reason, _ in found.dead] == ["undecodable", *["bad_queue"] * 4]
    assert "internal" in found.dead[3][2]
    assert "257 characters, at most 256" in found.dead[4][2]
    filtered = SourceRouting("plant", Into(queue="q", where="payload.kind > 3"))
    assert filtered.route([good], NOW_MS).dead[0][2].startswith("'payload.kind > 3' cannot be worked out: ")
    assert decode(found.dead[0][0].data) == {"source": "plant", "topic": "t", "payload": b"{", "size": 1}


def test_values_of_any_script_choose_queues_of_their_own() -> None:
    routing = SourceRouting("plant", Into(queue="site-{{ payload }}"))
    found = routing.route([Message("t", f'"{room}"'.encode()) for room in ("Küche", "Käche", "hall")], NOW_MS)
    assert [taken.queue for taken in found.taken] == ["site-K:xfc:che", "site-K:xe4:che", "site-hall"]


def test_a_record_of_the_future_is_no_delayed_job() -> None:
    routing = SourceRouting("plant", Into(queue="q"))
    found = routing.route([Message("t", b"1", NOW_MS + 5000), Message("t", b"2", NOW_MS - 5000)], NOW_MS)
    assert [taken.job.created_at_ms for taken in found.taken] == [NOW_MS, NOW_MS - 5000]


def test_a_message_id_becomes_a_key_unless_the_source_has_one_of_its_own() -> None:
    message = Message("t", b'{"n": 1}', id="m1")
    remember = Dedup("amqp:t", ttl_ms=1000)
    (taken,) = SourceRouting("s", Into(queue="q"), remember).route([message], NOW_MS).taken
    assert taken.job.options is not None
    assert taken.job.options.dedup == Dedup("amqp:t:m1", ttl_ms=1000)
    own = Into(queue="q", options=Options(dedup=Dedup("n-{{ payload.n }}")))
    (taken,) = SourceRouting("s", own, remember).route([message], NOW_MS).taken
    assert taken.job.options is not None
    assert taken.job.options.dedup == Dedup("n-1")


def test_an_unknown_name_in_a_template_is_found_at_once() -> None:
    with pytest.raises(Invalid, match="data"):
        SourceRouting("s", Into(queue="{{ data.kind }}"))
