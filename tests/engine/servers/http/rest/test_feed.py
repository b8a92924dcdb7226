"""`feed` from a real curl: every content type, options in query and headers, and what is refused."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest

from support.rest import Rest


async def curl(rest: Rest, path: str, body: bytes, *headers: str, method: str = "POST") -> tuple[int, Any]:
    """Status and decoded answer of a feed as a shell script would send it."""
    options = [word for header in headers for word in ("-H", header)]
    process = await asyncio.create_subprocess_exec(
        "curl",
        *("-sS", "-X", method, f"{rest.url}{path}", "--data-binary", "@-", "-w", "\n%{http_code}"),
        *options,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate(body)
    text, _, status = output.decode().rpartition("\n")
    return int(status), json.loads(text)


async def jobs(rest: Rest, ids: list[str]) -> list[dict[str, Any]]:
    return [await rest.get(f"/jobs/{id}") for id in ids]


FED: dict[str, tuple[str, str, bytes, list[Any]]] = {
    "json": ("application/json", "", b'{"t": 21.5}', [{"t": 21.5}]),
    "json-list": ("application/json", "", b"[1, 2]", [[1, 2]]),
    "json-exploded": ("application/json", "?explode=true", b"[1, 2]", [1, 2]),
    "lines": ("application/x-ndjson", "", b'{"a": 1}\n\n{"a": 2}\r\n', [{"a": 1}, {"a": 2}]),
    "text": ("text/plain", "", "grün\nblau".encode(), ["grün\nblau"]),
    "text-latin": ("text/plain; charset=iso-8859-1", "", b"gr\xfcn", ["grün"]),
    "text-exploded": ("text/plain", "?explode=true", b"a\nb\n", ["a", "b"]),
    "csv": ("text/csv", "", b't,id:text\n21.5,007\n,"x,y"\n', [{"t": 21.5, "id": "007"}, {"t": None, "id": "x,y"}]),
    "csv-columns": ("text/csv", "?columns=t:number,room&delimiter=;", b"1;kitchen\n", [{"t": 1, "room": "kitchen"}]),
    "csv-newline": ("text/csv", "?columns=a", b'"two\nlines"\n', [{"a": "two\nlines"}]),
    "csv-mark": ("text/csv", "", b"\xef\xbb\xbft,room\r\n1,a\r\n", [{"t": 1, "room": "a"}]),
    "csv-one-line": ("text/csv", "?columns=a", "x\u2028y\u0085z\x0b\n".encode(), [{"a": "x\u2028y\u0085z\x0b"}]),
    "csv-nan": ("text/csv", "?nan=null", b"t,id:text\nnan,nan\n", [{"t": None, "id": "nan"}]),
    "text-mark": ("text/plain", "?explode=true", b"\xef\xbb\xbfa\r\nb\r\n", ["a", "b"]),
    "text-empty": ("text/plain", "", b"", [""]),
    "json-mark": ("application/json", "", b"\xef\xbb\xbf[1]", [[1]]),
    "json-nan": ("application/json", "?nan=null", b'{"t": nan, "u": [-inf, 1]}', [{"t": None, "u": [None, 1]}]),
    "json-else-text": ("application/json", "?otherwise=text", b"offline", ["offline"]),
    "json-empty": ("application/json", "?empty=skip", b" \r\n", []),
    "json-null": ("application/json", "?empty=null", b"", [None]),
    "json-latin": ("application/json", "?encoding=latin-1", b'{"room": "K\xfcche"}', [{"room": "Küche"}]),
    "json-time": (
        "application/json",
        "?timezone=Europe/Berlin",
        b'{"Time": "2026-11-30T22:47:23"}',
        [{"Time": "2026-11-30T21:47:23Z"}],
    ),
    "json-times": (
        "application/json",
        "?explode=true&timeunit=s&times=a,b.c",
        b'[{"a": 188}, {"b": {"c": "188"}, "a": null}]',
        [{"a": "1970-01-01T00:03:08Z"}, {"b": {"c": "1970-01-01T00:03:08Z"}, "a": None}],
    ),
    "csv-time": ("text/csv", "?timeunit=ms", b"ts,v\n188000,1\n", [{"ts": "1970-01-01T00:03:08Z", "v": 1}]),
    "lines-mark": ("application/x-ndjson", "", b"\xef\xbb\xbf1\r\n2", [1, 2]),
    "lines-else-text": ("application/x-ndjson", "?otherwise=text&nan=null", b"1\nnan\noff\n", [1, None, "off"]),
    "kind": ("text/plain", "?kind=number", b" 21.5\n", [21.5]),
    "kind-exploded": ("text/plain", "?kind=number&explode=true&otherwise=text", b"1\noff\n", [1, "off"]),
    "utf-16": ("text/csv; charset=utf-16", "", "t,room\n1,Öl\n".encode("utf-16"), [{"t": 1, "room": "Öl"}]),
    "msgpack": ("application/msgpack", "", msgspec.msgpack.encode({"m": [1]}), [{"m": [1]}]),
    "bytes": ("application/octet-stream", "", b"\x00\xff", [{"$bytes": "AP8="}]),
    "image": ("image/png", "", b"\x89PNG", [{"$bytes": "iVBORw=="}]),
}


@pytest.mark.parametrize("name", sorted(FED))
async def test_a_device_may_send_it(rest: Rest, name: str) -> None:
    kind, query, body, expected = FED[name]
    status, answer = await curl(rest, f"/queues/readings/feed{query}", body, f"Content-Type: {kind}")
    assert status == 202, answer
    found = await jobs(rest, answer["ids"])
    assert [job["data"] for job in found] == expected
    assert {job["name"] for job in found} <= {"feed"}


async def test_no_content_type_means_bytes(rest: Rest) -> None:
    status, answer = await curl(rest, "/queues/q/feed", b"abc", "Content-Type:")
    assert status == 202
    assert (await jobs(rest, answer["ids"]))[0]["data"] == {"$bytes": "YWJj"}


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("?nan=zero", "nan is not valid"),
        ("?timeunit=h", "timeunit is not valid"),
        ("?times=", "times[0] must be at least 1 characters"),
        ("?delimiter=x", r"delimiter is not valid: it must match '^[,;|\\t ]$'"),
        ("?delay=-5", "delay must be at least 0"),
        ("?attempts=0", "attempts must be at least 1"),
        ("?priority=1.5", "priority must be an integer"),
    ],
)
async def test_a_wrong_option_is_named(rest: Rest, query: str, words: str) -> None:
    answer = await rest.ask("POST", f"/queues/q/feed{query}", data=b"1", headers={"Content-Type": "text/plain"})
    assert (answer.status, answer.body["detail"]) == (422, words)
    choices = {"nan": "refuse", "timeunit": "ms"}.get(query[1:].partition("=")[0], "")
    assert choices in answer.body.get("hint", "")


REFUSED: dict[str, tuple[str, str, bytes, int, str]] = {
    "form": ("application/x-www-form-urlencoded", "", b"t=1", 415, "unsupported_media_type"),
    "charset": ("text/plain; charset=klingon", "", b"x", 415, "unsupported_media_type"),
    "codec": ("text/plain; charset=hex", "", b"61", 415, "unsupported_media_type"),
    "utf8": ("text/plain", "", b"\xff", 400, "malformed"),
    "json": ("application/json", "", b"{", 400, "malformed"),
    "nan": ("application/json", "", b'{"t": nan}', 400, "malformed"),
    "empty": ("application/json", "", b"", 400, "malformed"),
    "empty-refused": ("text/plain", "?empty=refuse", b" ", 400, "malformed"),
    "timezone": ("application/json", "?timezone=Mars", b"1", 422, "invalid"),
    "times-of-text": ("text/plain", "?times=a", b"x", 422, "invalid"),
    "encoding": ("text/plain", "?encoding=klingon", b"x", 422, "invalid"),
    "encoding-of-bytes": ("application/octet-stream", "?encoding=latin-1", b"x", 422, "invalid"),
    "otherwise": ("text/plain", "?otherwise=number", b"x", 422, "invalid"),
    "kind-unknown": ("text/plain", "?kind=xml", b"x", 422, "invalid"),
    "line": ("application/x-ndjson", "", b"1\n{\n", 400, "malformed"),
    "msgpack": ("application/msgpack", "", b"\xc1", 400, "malformed"),
    "no-list": ("application/json", "?explode=true", b"1", 422, "invalid"),
    "empty-list": ("application/json", "?explode=true", b"[]", 422, "invalid"),
    "cells": ("text/csv", "", b"a,b\n1\n", 400, "malformed"),
    "number": ("text/csv", "?columns=a:number", b"warm\n", 400, "malformed"),
    "same-columns": ("text/csv", "", b"a,a\n1,2\n", 422, "invalid"),
    "no-rows": ("text/csv", "", b"a,b\n", 422, "invalid"),
    "option": ("text/plain", "?prio=1", b"x", 422, "invalid"),
    "attempts": ("text/plain", "?attempts=0", b"x", 422, "invalid"),
    "id-of-many": ("application/json", "?explode=true&id=x", b"[1, 2]", 422, "invalid"),
    "too-many": ("application/json", "?explode=true", b"[" + b"1," * 10_000 + b"1]", 422, "invalid"),
}


@pytest.mark.parametrize("name", sorted(REFUSED))
async def test_half_a_body_makes_no_job(rest: Rest, name: str) -> None:
    kind, query, body, status, code = REFUSED[name]
    found, answer = await curl(rest, f"/queues/readings/feed{query}", body, f"Content-Type: {kind}")
    assert (found, answer["code"]) == (status, code)
    assert await rest.get("/queues") == {"queues": []}


async def test_options_come_in_the_query_or_in_headers(rest: Rest) -> None:
    status, answer = await curl(
        rest,
        "/queues/q/feed?priority=3&attempts=7",
        b"21.5",
        "Content-Type: text/plain",
        "X-Hubqueue-Name: reading",
        "X-Hubqueue-Priority: 9",
        "X-Hubqueue-Durable: true",
        "X-Hubqueue-Delay: 60000",
        "X-Hubqueue-Id: sensor-1",
    )
    assert (status, answer) == (202, {"ids": ["sensor-1"]})
    (job,) = await jobs(rest, ["sensor-1"])
    wanted = {"name": "reading", "priority": 3, "attempts": 7, "durable": True, "state": "delayed"}
    assert {name: job[name] for name in wanted} == wanted


async def test_a_deduplication_key_stands_for_one_job(rest: Rest) -> None:
    sent = [
        await curl(rest, "/queues/q/feed?dedup=door&dedupttl=60000", b"1", "Content-Type: text/plain") for _ in "ab"
    ]
    assert sent[0] == sent[1]


async def test_a_queue_that_cannot_be_is_refused_in_words(rest: Rest) -> None:
    """Whoever names a queue in a path means that one: it is not changed into another name."""
    for path, words in (("K%C3%BCche", "invalid characters"), ("a" * 257, "too long")):
        status, answer = await curl(rest, f"/queues/{path}/feed", b"1", "Content-Type: text/plain")
        assert (status, answer["code"], words in answer["detail"]) == (422, "invalid", True)
