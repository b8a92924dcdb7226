"""The times of messages: rewritten where they are read, so that nobody later has to know how a device says them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from hubqueue.config.load import load
from hubqueue.config.mistakes import ConfigMistakes
from hubqueue.config.rules import read_rule, words
from hubqueue.errors import Invalid
from hubqueue.model.decode import Payload
from hubqueue.model.moment import DEFAULT

BERLIN = "Europe/Berlin"
NIGHT = "2026-11-30T21:47:23Z"


@pytest.mark.parametrize(
    ("payload", "given", "expected"),
    [
        (Payload(timezone=BERLIN), {"Time": "2026-11-30T22:47:23"}, {"Time": NIGHT}),
        (Payload(timezone=BERLIN), {"Time": "2026-07-30T22:47:23"}, {"Time": "2026-07-30T20:47:23Z"}),
        (Payload(timezone=BERLIN), {"time": "2026-11-30T22:47:23.5+02:00"}, {"time": "2026-11-30T20:47:23.500000Z"}),
        (
            Payload(time_unit="s"),
            {"ts": 188, "at": "188"},
            {"ts": "1970-01-01T00:03:08Z", "at": "1970-01-01T00:03:08Z"},
        ),
        (Payload(time_unit="ms"), {"timestamp": 1_796_075_243_000}, {"timestamp": NIGHT}),
        (Payload(time_unit="ns"), {"ts": 1_796_075_243_000_000_789}, {"ts": "2026-11-30T21:47:23.000000789Z"}),
        (Payload(timezone=BERLIN), {"ts": "2026-11-30T22:47:23.123456789"}, {"ts": "2026-11-30T21:47:23.123456789Z"}),
        (Payload(times=("a.b", "c")), {"a": {"b": 1_796_075_243}, "c": NIGHT}, {"a": {"b": NIGHT}, "c": NIGHT}),
        (Payload(times=("a.b",)), {"a": 5, "time": 188}, {"a": 5, "time": 188}),
        (Payload(timezone=BERLIN), {"time": None, "v": 1}, {"time": None, "v": 1}),
        (Payload(timezone=BERLIN), {"time": "noon", "ts": -1, "at": [1]}, {"time": "noon", "ts": -1, "at": [1]}),
        (Payload(timezone=BERLIN), [{"time": "2026-11-30T22:47:23"}], [{"time": "2026-11-30T22:47:23"}]),
        (Payload(timezone=BERLIN), "2026-11-30T22:47:23", "2026-11-30T22:47:23"),
        (Payload(), {"time": "2026-11-30T22:47:23"}, {"time": "2026-11-30T22:47:23"}),
    ],
)
def test_a_time_that_can_be_read_is_utc_and_anything_else_stays(payload: Payload, given: Any, expected: Any) -> None:
    assert payload.decoder()(msgspec.json.encode(given)) == expected


def test_csv_and_messagepack_have_times_too() -> None:
    csv = Payload("csv", columns=("ts", "v"), time_unit="ms", timezone=BERLIN)
    assert csv.decoder()(b"1796075243000,5") == {"ts": NIGHT, "v": 5}
    packed = Payload("msgpack", timezone=BERLIN)
    assert packed.decoder()(msgspec.msgpack.encode({"at": DEFAULT.at(NIGHT)})) == {"at": NIGHT}


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (Payload("text", timezone=BERLIN), "times make no sense with decoder 'text'"),
        (Payload(timezone="Mars/Base"), "not a time zone"),
        (Payload(times=("a..b",)), "'a..b' is not valid"),
    ],
)
def test_what_makes_no_sense_is_refused(payload: Payload, words: str) -> None:
    with pytest.raises(Invalid, match=words):
        payload.decoder()


def test_a_rule_and_a_source_say_it_and_a_rule_is_written_back(tmp_path: Path) -> None:
    said = "{kind: json, otherwise: text, nan: null, empty: skip, encoding: latin-1, "
    said += "timezone: Europe/Berlin, time_unit: ms}"
    file = tmp_path / "hubqueue.yaml"
    file.write_text(
        f"mqtt:\n  url: mqtt://h\n  rules:\n    - {{topic: t/#, queue: q, payload: {said}}}\n"
        f"sources:\n  - {{name: s, from: 'kafka://h/t?group=g', queue: q, payload: {said}}}\n"
    )
    config = load(file, environ={})
    assert config.mqtt is not None
    (rule,) = config.mqtt.rules
    (source,) = config.sources
    assert rule.payload == source.into.payload
    assert rule.payload.decoder()(b'{"Time": "2026-11-30T22:47:23", "v": nan}') == {"Time": NIGHT, "v": None}
    assert rule.payload.decoder()(b"on") == "on"
    assert read_rule(words(rule)).payload == rule.payload
    file.write_text(file.read_text().replace("Europe/Berlin", "Europe"))
    with pytest.raises(ConfigMistakes, match="timezone"):
        load(file, environ={})
