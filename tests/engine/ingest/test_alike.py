"""What a device sends means the same by every door: MQTT, Kafka, AMQP and an HTTP POST."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from support.ingest_doors import MESSAGES, PASSED, Came, feed
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
    (CSV, [b"21.5,007", b"21.5;7", b"", b" ", b",", b'"2",x', b"a,b,c", b"1", b"\xff,x", b"nan,x", b"1,2\n3,4", b'"']),
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
