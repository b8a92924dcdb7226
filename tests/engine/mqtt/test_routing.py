"""Rules run on messages: what becomes a job, what is left out, what is kept as unroutable."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from hubqueue.errors import Invalid
from hubqueue.ingest.outcome import Outcome, Passed, Refused, Taken
from hubqueue.model.decode import Payload
from hubqueue.model.job import Dedup, Options
from hubqueue.model.limits import MAX_DATA_BYTES, MAX_KEPT_BYTES
from hubqueue.mqtt.routing import Routing
from hubqueue.mqtt.rules import Rule
from hubqueue.mqtt.trial import try_message
from hubqueue.mqttclient.message import Extras, Message

NOW = 1_700_000_000_000


def data(routed: Outcome) -> Any:
    assert isinstance(routed, Taken | Refused)
    assert routed.job.data is not None
    return msgspec.msgpack.decode(routed.job.data)


def only(rule: Rule, topic: str, payload: bytes, **more: Any) -> Outcome:
    (routed,) = Routing([rule]).route(Message(topic, payload, qos=1, **more), NOW)
    return routed


def test_a_message_becomes_a_job_that_says_where_it_came_from() -> None:
    rule = Rule(topic="s/{kind}/{room}", queue="{kind}", name="read {room}", priority=3, max_attempts=5)
    taken = only(rule, "s/climate/hall", b'{"t":21}')
    assert isinstance(taken, Taken)
    assert (taken.queue, taken.job.name, taken.job.priority, taken.job.max_attempts) == ("climate", "read hall", 3, 5)
    assert data(taken) == {
        "topic": "s/climate/hall",
        "payload": {"t": 21},
        "receivedAt": NOW,
        "qos": 1,
        "parts": {"kind": "climate", "room": "hall"},
    }


def test_what_mqtt_5_says_beside_the_payload_is_carried() -> None:
    extras = Extras(user={"site": "north"}, content_type="application/json")
    taken = only(Rule(topic="s", queue="q"), "s", b"1", extras=extras, retain=True)
    assert data(taken) == {
        "topic": "s",
        "payload": 1,
        "receivedAt": NOW,
        "qos": 1,
        "retain": True,
        "contentType": "application/json",
        "properties": {"site": "north"},
    }


def test_a_rule_may_make_the_payload_itself_the_data() -> None:
    assert data(only(Rule(topic="s", queue="q", shape="payload"), "s", b'{"t":21}')) == {"t": 21}


def test_every_rule_that_takes_a_message_makes_a_job() -> None:
    rules = [Rule(topic="s/#", queue="all"), Rule(topic="s/{x}", queue="one"), Rule(topic="t", queue="other")]
    assert [r.queue for r in Routing(rules).route(Message("s/a", b"1"), NOW) if isinstance(r, Taken)] == ["all", "one"]


def test_a_topic_that_no_rule_takes_is_refused() -> None:
    refused = only(Rule(topic="s", queue="q"), "t", b"\xff")
    assert isinstance(refused, Refused)
    assert (refused.into, refused.reason) == (None, "no_rule")
    assert data(refused) == {"topic": "t", "payload": b"\xff", "receivedAt": NOW, "qos": 1, "size": 1}


def test_a_payload_that_cannot_be_decoded_is_refused_with_its_bytes() -> None:
    refused = only(Rule(topic="s/{x}", queue="q"), "s/a", b"\xff{")
    assert isinstance(refused, Refused)
    assert refused.reason == "undecodable"
    assert "not valid UTF-8" in refused.error
    assert data(refused)["payload"] == b"\xff{"
    assert data(refused)["rule"] == "s/{x} -> q"


def test_of_a_huge_message_that_is_refused_the_head_is_kept() -> None:
    refused = only(Rule(topic="s", queue="q"), "s", b"x" * 5_000_000)
    assert data(refused)["size"] == 5_000_000
    assert len(data(refused)["payload"]) == MAX_KEPT_BYTES


def test_a_payload_beyond_what_a_job_may_carry_is_refused() -> None:
    refused = only(Rule(topic="s", queue="q", payload=Payload("bytes")), "s", b"x" * (MAX_DATA_BYTES + 1))
    assert isinstance(refused, Refused)
    assert "too large" in refused.error


def test_a_condition_leaves_messages_out() -> None:
    rule = Rule(topic="s/{room}", queue="q", where="payload.t > 30 and room == 'hall'")
    assert isinstance(only(rule, "s/hall", b'{"t":31}'), Taken)
    assert isinstance(only(rule, "s/hall", b'{"t":29}'), Passed)
    assert isinstance(only(rule, "s/attic", b'{"t":31}'), Passed)
    assert isinstance(only(rule, "s/hall", b"{}"), Passed)


def test_a_condition_that_fails_on_a_message_refuses_it() -> None:
    refused = only(Rule(topic="s", queue="q", where="payload.t > 30"), "s", b'{"t":"warm"}')
    assert isinstance(refused, Refused)
    assert refused.reason == "bad_message"
    assert refused.error == "'payload.t > 30' cannot be worked out: text cannot be compared with a number"


def test_retained_messages_may_be_skipped() -> None:
    rule = Rule(topic="s", queue="q", retained="skip")
    assert isinstance(only(rule, "s", b"1", retain=True), Passed)
    assert isinstance(only(rule, "s", b"1"), Taken)


def test_a_deduplication_key_is_made_of_parts_and_payload() -> None:
    options = Options(dedup=Dedup("{{ room }}/{{ payload.id }}", ttl_ms=1000), durable=True)
    rule = Rule(topic="s/{room}", queue="q", options=options)
    taken = only(rule, "s/hall", b'{"id":7}')
    assert isinstance(taken, Taken)
    assert taken.job.options == Options(dedup=Dedup("hall/7", ttl_ms=1000), durable=True)
    assert isinstance(only(rule, "s/hall", b"{}"), Refused)


def test_a_topic_chooses_no_internal_and_no_invalid_queue() -> None:
    rule = Rule(topic="s/{x}", queue="{x}")
    assert isinstance(only(rule, "s/_responses", b"1"), Refused)
    assert isinstance(only(rule, "s/", b"1"), Refused)
    spaced = only(rule, "s/living room", b"1")
    assert isinstance(spaced, Taken)
    assert spaced.queue == "living:x20:room"


def test_levels_of_any_script_are_queues_of_their_own() -> None:
    rule = Rule(topic="any/{a}/{b}", queue="{a}", name="{a}")
    taken = [only(rule, f"any/{level}/b", b"1") for level in ("Küche", "Käche", "K_che", "Öl", "台所", "a.b:c-d_e")]
    assert [each.queue for each in taken if isinstance(each, Taken)] == [
        *("K:xfc:che", "K:xe4:che", "K_che", ":xd6:l", ":x53f0-6240:", "a.b:c-d_e")
    ]
    assert [each.job.name for each in taken][3] == "Öl"
    for level, words in (("", "is empty"), ("x" * 257, "too long"), ("_x", "internal"), ("ü" * 100, "too long")):
        refused = only(rule, f"any/{level}/b", b"1")
        assert isinstance(refused, Refused)
        assert refused.reason == "bad_queue"
        assert words in refused.error
    named = only(Rule(topic="n/{a}", queue="q", name="{a}"), "n/" + "x" * 257, b"1")
    assert isinstance(named, Refused)
    assert "at most 256" in named.error


def test_what_is_empty_is_left_out_where_the_rule_says_so() -> None:
    rule = Rule(topic="hass/#", queue="q", payload=Payload("json", otherwise="text", empty="skip", nan="null"))
    assert isinstance(only(rule, "hass/a", b"", retain=True), Passed)
    values = [only(rule, "hass/a", payload) for payload in (b'"on"', b"on", b"21.5", b"nan", b"2026-11-30T10:00")]
    shown = [msgspec.msgpack.decode(each.job.data or b"")["payload"] for each in values]
    assert shown == ["on", "on", 21.5, None, "2026-11-30T10:00"]
    error = only(Rule(topic="a", queue="q"), "a", b"")
    assert isinstance(error, Refused)
    assert "empty payload (empty: skip" in error.error


def test_the_broker_is_asked_for_no_topic_twice() -> None:
    rules = [
        Rule(topic="s/{x}", queue="a", qos=0),
        Rule(topic="s/#", queue="b", qos=2),
        Rule(topic="t", queue="c", qos=0),
    ]
    assert Routing(rules).subscriptions() == {"s/#": 1, "t": 0}


def test_more_topics_than_are_remembered_are_routed_the_same() -> None:
    routing = Routing([Rule(topic="s/{x}", queue="q-{x}")])
    for number in (*range(10_050), 0):
        (taken,) = routing.route(Message(f"s/{number}", b"1"), NOW)
        assert isinstance(taken, Taken)
        assert taken.queue == f"q-{number}"


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        (Rule(topic="a/#/b", queue="q"), "last level"),
        (Rule(topic="a/{x}", queue="{y}"), "not a named part"),
        (Rule(topic="a", queue="q", name="{y}"), "not a named part"),
        (Rule(topic="a/{payload}", queue="q"), "cannot name a part"),
        (Rule(topic="a", queue="q q"), "invalid characters"),
        (Rule(topic="a", queue=""), "required"),
        (Rule(topic="a", queue="q", name=""), "Job name"),
        (Rule(topic="a", queue="q", qos=3), "qos"),
        (Rule(topic="a", queue="q", lane="a/b"), "lane"),
        (Rule(topic="a", queue="q", max_attempts=0), "maxAttempts"),
        (Rule(topic="a", queue="q", where="payload >"), "expression"),
        (Rule(topic="a", queue="q", payload=Payload("xml")), "decoder"),
    ],
)
def test_a_rule_that_cannot_be_is_refused(rule: Rule, reason: str) -> None:
    with pytest.raises(Invalid, match=reason):
        Routing([rule])


def test_a_message_can_be_tried_without_a_broker() -> None:
    rules = [Rule(topic="s/{x}", queue="q", where="payload > 5"), Rule(topic="s/#", queue="all")]
    assert [type(r) for r in try_message(rules, "s/a", b"1", now_ms=NOW)] == [Passed, Taken]


@pytest.mark.parametrize("group", ["{room}", "{{ room }}", "{{ parts.room }}"])
def test_a_group_is_made_of_the_topic(group: str) -> None:
    rule = Rule(topic="s/{kind}/{room}", queue="q", options=Options(group=group, durable=True))
    taken = only(rule, "s/climate/hall", b"1")
    assert isinstance(taken, Taken)
    assert taken.job.options == Options(group="hall", durable=True)


def test_a_group_and_a_key_are_made_of_the_payload() -> None:
    options = Options(group="{{ payload.id }}", dedup=Dedup("{kind}/{{ payload.id }}"))
    taken = only(Rule(topic="s/{kind}", queue="q", options=options), "s/climate", b'{"id": "d7"}')
    assert isinstance(taken, Taken)
    assert taken.job.options == Options(group="d7", dedup=Dedup("climate/d7"))


@pytest.mark.parametrize("payload", [b'{"id": null}', b"{}", b'{"id": ""}', b'{"id": "%s"}' % (b"x" * 257)])
def test_a_message_whose_group_cannot_be_made_is_kept(payload: bytes) -> None:
    refused = only(Rule(topic="s", queue="q", options=Options(group="{{ payload.id }}")), "s", payload)
    assert isinstance(refused, Refused)
    assert (refused.reason, "group" in refused.error) == ("bad_message", True)


@pytest.mark.parametrize("options", [Options(group="{room}"), Options(dedup=Dedup("{room}"))])
def test_a_part_that_the_topic_does_not_have_is_refused(options: Options) -> None:
    with pytest.raises(Invalid, match=r"\{room\} is not a named part of 's/\{kind\}'"):
        Routing([Rule(topic="s/{kind}", queue="q", options=options)])
