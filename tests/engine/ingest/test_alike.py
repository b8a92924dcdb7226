"""What a device sends means the same by every door: MQTT, Kafka, AMQP and an HTTP POST."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import voluptuous as vol

from hubqueue.errors import HubqueueError
from hubqueue.hub.verbs.ingest import UNROUTABLE
from hubqueue.ingest.into import Into
from hubqueue.ingest.outcome import DEFECT, Refused, Taken
from hubqueue.model.decode import Decode, Payload
from hubqueue.model.job import Job, NewJob
from hubqueue.model.limits import MAX_DATA_BYTES, MAX_KEPT_BYTES
from hubqueue.model.state import State
from hubqueue.mqtt.reroute import RulesAgain
from hubqueue.mqtt.rules import Rule
from hubqueue.mqtt.trial import try_message
from hubqueue.sources.message import Message as Record
from hubqueue.sources.reroute import SourcesAgain
from hubqueue.sources.routing import SourceRouting
from hubqueue.sources.settings import KafkaBrokers, KafkaSource
from support.ingest_doors import MESSAGES, NOW_MS, PASSED, Came, feed
from support.rest import Rest, serving

BERLIN = {"kind": "json", "timezone": "Europe/Berlin"}
CSV = {"kind": "csv", "columns": ["t", "id:text"]}
PAYLOADS: list[tuple[str | dict[str, Any], list[bytes]]] = [
    (
        "json",
        [
            *(b"21.5", b"1500.0", b'{"a": [1, null, true], "b": "\xc3\xa4"}', b"null", b'""', b"{}", b"[]", b'" "'),
            *(b"", b" \n", b"nan", b"NaN", b'{"t": -inf}', b"{", b"off", b"1 2", b"\xff", b"\xef\xbb\xbf1", b"\x00"),
            *(b"18446744073709551615", b"18446744073709551616", b"1e999", b'{"a": 1, "a": 2}', b'"\\ud800"'),
            *(b"[" * 600 + b"]" * 600, b'{"deep": ' * 100_000, b"9" * 500, b"-0", b"0.1e1"),
        ],
    ),
    ("text", [b"on", b"", b" ", b"\xff", b"\xef\xbb\xbfon", b"None", "Küche".encode("latin-1"), b"a\nb", b"\x00"]),
    (
        "number",
        [b"21.5", b" 7 ", b"1500.0", b"", b"nan", b"1_000", b"0x1", b"1,5", b"+7", b"007", b"1e999", b"9" * 500],
    ),
    ("msgpack", [b"\x01", b"", b"\x81\xa1a\xc0", b"\x81\xc0\x01", b"\xc1", b"\xa1\xff", b"\x01\x02", b"\x81\x01\x02"]),
    ("bytes", [b"", b"\xff\x00", b"x"]),
    (CSV, [b"21.5,007", b"21.5;7", b"", b" ", b",", b'"2",x', b"a,b,c", b"1", b"\xff,x", b"nan,x", b'"']),
    ({**CSV, "delimiter": ";", "nan": None}, [b"21,5;x", b"nan;nan", b";"]),
    ({"kind": "json", "nan": None}, [b"nan", b'{"t": NaN, "s": "NaN"}', b"[inf]", b"nanx"]),
    ({"kind": "number", "nan": None}, [b"nan", b"-inf", b"x"]),
    ({"kind": "json", "empty": "skip"}, [b"", b" \t", b"null", b'""']),
    ({"kind": "json", "empty": None}, [b"", b"\xef\xbb\xbf", b"1"]),
    ({"kind": "text", "empty": "refuse"}, [b"", b" ", b"x"]),
    ({"kind": "bytes", "empty": "skip"}, [b"", b" "]),
    ({"kind": "json", "otherwise": "number"}, [b"off", b"", b"1_0", b"7"]),
    ({"kind": "json", "otherwise": "text"}, [b"off", b"", b"\xff", b"{"]),
    ({"kind": "json", "otherwise": "bytes"}, [b"\xff", b"", b"{"]),
    ({"kind": "number", "otherwise": "text", "empty": "skip"}, [b"off", b"", b"7"]),
    ({"kind": "csv", "columns": ["a:number"], "otherwise": "text"}, [b"x", b"7", b"1,2", b""]),
    ({"kind": "text", "encoding": "latin-1"}, ["Küche".encode("latin-1"), b"\xef\xbb\xbfa", b""]),
    ({"kind": "json", "encoding": "utf-16"}, ['{"ä": 1}'.encode("utf-16"), b"\xff\xfe", b"x", b""]),
    ({"kind": "text", "encoding": "gbk"}, [b"\xff\xff", "中".encode("gbk")]),
    (BERLIN, [b'{"time": "2026-11-30T10:00:00"}', b'{"ts": 1700000000, "at": null}', b"[]", b'{"time": "soon"}']),
    (
        {**BERLIN, "time_unit": "ms"},
        [b'{"ts": 1700000000123}', b'{"ts": 1700000000.5}', b'{"ts": -1}', b'{"ts": 1e30}'],
    ),
    ({"kind": "json", "times": ["a.at"]}, [b'{"a": {"at": 1700000000}}', b'{"a": 1}', b'{"a": {"at": "x"}}']),
    ({**CSV, "columns": ["ts", "v"], "time_unit": "s"}, [b"1700000000,1", b"x,1"]),
]


@pytest.fixture
async def rest(tmp_path: Path) -> AsyncIterator[Rest]:
    async with serving(tmp_path / "hub.db") as served:
        yield served


def by_messages(keys: dict[str, Any], content: bytes) -> Came:
    """What every door of messages makes of it."""
    found = {name: door(keys, content) for name, door in MESSAGES.items()}
    first = next(iter(found.values()))
    assert {name: repr(came) for name, came in found.items()} == dict.fromkeys(found, repr(first))
    return first


@pytest.mark.parametrize(("payload", "contents"), PAYLOADS, ids=repr)
async def test_a_payload_is_read_alike(rest: Rest, payload: str | dict[str, Any], contents: list[bytes]) -> None:
    wrong = []
    for content in contents:
        message, posted = by_messages({"payload": payload}, content), await feed(rest, payload, content)
        same = (posted.error == message.error) and repr(posted.data) == repr(message.data)
        if not same or (posted == PASSED) != (message == PASSED):
            wrong.append((content[:40], message, posted))
    assert wrong == []


SETTINGS: list[tuple[dict[str, Any], bytes, Came]] = [  # settings, payload, what every door of messages makes of it
    ({"queue": "{{ payload.k }}"}, b'{"k": "Living Room"}', Came({"k": "Living Room"}, "Living:x20:Room", "default")),
    ({"queue": "room-{{ payload }}"}, b"7.0", Came(7.0, "room-7", "default")),
    ({"queue": "K:xfc:che-{{ payload }}"}, b'"a:x41:"', Came("a:x41:", "K:xfc:che-a:x3a:x41:", "default")),
    ({"queue": "{{ topic }}", "name": "{{ payload }}"}, b"1", Came(1, "t", "1")),
    ({"queue": "{{ payload.k }}"}, b'{"k": ""}', Came(error="the queue name is empty", reason="bad_queue")),
    ({"queue": "{{ payload.k }}"}, b"{}", Came(error="no queue: there is no payload.k", reason="bad_queue")),
    ({"queue": "{{ payload.k }}"}, b'{"k": null}', Came(error="no queue: payload.k is null", reason="bad_queue")),
    ({"queue": "{{ payload.k }}"}, b'{"k": "_overflow"}', Came(error="is internal", reason="bad_queue")),
    ({"queue": "{{ payload.k }}", "where": "payload.k != ''"}, b'{"k": ""}', PASSED),
    ({"queue": "{{ payload }}"}, b'"' + b"x" * 257 + b'"', Came(error="257 characters, at most", reason="bad_queue")),
    ({"name": "{{ payload.k }}"}, b"{}", Came(error="no name: there is no payload.k", reason="bad_message")),
    ({"name": "{{ payload }}"}, b'""', Came(error="Job name must be", reason="bad_message")),
    ({"where": "payload.k > 3"}, b"{}", PASSED),
    ({"where": "payload.k > 3"}, b'{"k": "4"}', Came(error="'payload.k > 3' cannot be worked", reason="bad_message")),
    ({"dedup": "{{ payload.k }}"}, b'{"k": null}', Came(error="no dedup key: payload.k is null", reason="bad_message")),
    ({"group": "{{ payload.k }}"}, b"[]", Came(error="no group: there is no payload.k", reason="bad_message")),
    ({"group": "{{ payload }}"}, b'"' + b"x" * 257 + b'"', Came(error="at most 256", reason="bad_message")),
    ({"payload": "bytes"}, b"x" * (MAX_DATA_BYTES + 1), Came(error="Job data too large", reason="bad_message")),
]


@pytest.mark.parametrize(("keys", "content", "wanted"), SETTINGS, ids=lambda value: repr(value)[:60])
def test_settings_mean_the_same(keys: dict[str, Any], content: bytes, wanted: Came) -> None:
    came = by_messages(keys, content)
    assert wanted.error in came.error
    assert came._replace(error="") == wanted._replace(error="")


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"queue": "a b"}, "invalid characters"),
        ({"queue": "a b-{{ payload.k }}"}, "invalid characters"),
        ({"queue": "{{ nothing }}"}, "there is no 'nothing'"),
        ({"name": ""}, "name"),
        ({"name": "x" * 257}, "256"),
        ({"group": "{{ nothing }}"}, "there is no 'nothing'"),
        ({"dedup": "{{ payload.k "}, "template"),
        ({"where": "payload.k >"}, "expression"),
        ({"payload": "xml"}, "payload"),
        ({"priority": 2, "group": "g", "attempts": 0}, "attempts"),
        ({"keep_trying": "1s", "delay": "5s"}, "keepTrying"),
    ],
    ids=repr,
)
def test_mistakes_are_found_before_a_message_comes(keys: dict[str, Any], words: str) -> None:
    for name, door in MESSAGES.items():
        with pytest.raises((HubqueueError, vol.Invalid)) as refused:
            door(keys, b"1")
        assert words in f"{refused.value} {getattr(refused.value, 'path', '')}", name


class Broken(Payload):
    """A decoder with a defect."""

    def decoder(self) -> Decode:
        return lambda payload: 1 // 0


def test_a_defect_costs_the_rule_that_has_it_and_no_other(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL, "hubqueue.ingest.mapper")
    rules = [Rule(topic="t", queue="bad", payload=Broken()), Rule(topic="t", queue="good")]
    bad, good = try_message(rules, "t", b"1", now_ms=NOW_MS)
    assert isinstance(bad, Refused)
    assert (bad.reason, bad.error) == ("failed", DEFECT)
    assert isinstance(good, Taken)


def test_what_is_not_whole_any_more_says_so_by_every_door() -> None:
    of_rule = RulesAgain([Rule(topic="t", queue="q", payload=Payload("text"))])
    into = Into(queue="q", payload=Payload("text"))
    of_source = SourcesAgain([KafkaSource(name="s", brokers=KafkaBrokers(("h",)), topics=("t",), into=into)], lambda: 0)
    long = b"x" * (MAX_KEPT_BYTES + 1)
    (record,) = SourceRouting("s", Into(queue="q")).route([Record("t", long)], NOW_MS).dead
    (message,) = try_message([Rule(topic="t", queue="q")], "t", long, now_ms=NOW_MS)
    assert isinstance(message, Refused)
    found = [of_rule.reroute(job_of(message.job)), of_source.reroute(job_of(record[0]))]
    for each in found:
        assert each is not None
        assert each.reason == "too_large"
        assert each.error.endswith(f"{MAX_KEPT_BYTES} of its {MAX_KEPT_BYTES + 1} bytes are there")


def job_of(kept: NewJob) -> Job:
    """The dead letter as the job file gives it back."""
    return Job("1", UNROUTABLE, 1, State.FAILED, 0, 0, kept.name, kept.data, NOW_MS, NOW_MS, 0, 1)
