"""What comes in as a body, and what goes out: odd JSON, odd headers, odd stored data."""

from __future__ import annotations

import gzip
import json
import threading
import zlib
from collections.abc import AsyncIterator
from io import BytesIO
from typing import Any

import msgspec
import pytest
from aiohttp.web import Response

from hubqueue.model.job import NewJob
from hubqueue.servers.http.rest import answers
from hubqueue.servers.http.rest.answers import answer
from hubqueue.servers.http.rest.reading import MAX_BODY_BYTES
from support.rest import Answer, Rest

JSON = {"Content-Type": "application/json"}
JOB = b'{"name": "n", "data": %s}'
PATH = "/queues/q/jobs"


async def send(rest: Rest, body: Any, headers: dict[str, str] | None = None, path: str = PATH) -> Answer:
    return await rest.ask("POST", path, data=body, headers=JSON | (headers or {}), compress=None)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "empty payload"),
        (JOB % b"-nan", "-nan at byte"),
        (JOB % b"1e400", "beyond the range of a double"),
        (JOB % b'{"a": [1, -1e999]}', "beyond the range of a double"),
        (JOB % b'"\\ud800"', "half a character"),
        (JOB % b'"\xff"', "not valid UTF-8 at byte"),
    ],
)
async def test_what_is_no_json_is_told_in_the_words_of_every_door(rest: Rest, body: bytes, words: str) -> None:
    answer = await send(rest, body)
    assert (answer.status, answer.body["code"]) == (400, "malformed")
    assert answer.body["detail"].startswith("This is not valid JSON: ")
    assert words in answer.body["detail"]
    assert "hint" not in answer.body  # the options of feed are none here


@pytest.mark.parametrize(
    "body",
    [b"", b"nothing", b"{", JOB % b"NaN", JOB % b"Infinity", JOB % b"'x'", b"\xff", JOB % b'"\xff"', b"[" * 5000],
    ids=["empty", "word", "half", "nan", "infinity", "quotes", "not-utf8", "text-not-utf8", "open"],
)
async def test_a_body_that_is_no_json_is_malformed(rest: Rest, body: bytes) -> None:
    answer = await send(rest, body)
    assert (answer.status, answer.body["code"]) in [(400, "malformed"), (422, "invalid")]
    assert await rest.get("/queues") == {"queues": []}


@pytest.mark.parametrize("depth", [5_000, 1_000_000])
async def test_a_body_nested_beyond_all_measure_harms_nobody(rest: Rest, depth: int) -> None:
    """Where the line is depends on the Python; what is taken can be read, what is not is refused."""
    answer = await send(rest, BytesIO(JOB % (b"[" * depth + b"]" * depth)))
    if answer.status == 201:
        assert json.dumps((await rest.get(f"/jobs/{answer.body['id']}"))["data"]).count("[") == 64
    else:
        assert (answer.status, answer.body["code"]) in [(400, "malformed"), (422, "invalid")]
    assert (await send(rest, JOB % b"1")).status == 201


async def test_whole_numbers_may_be_written_with_a_point(rest: Rest) -> None:
    body = b'\xef\xbb\xbf{"name": "n", "delay": 60000.0, "attempts": 5.0, "data": 1.0}'
    job = await rest.get(f"/jobs/{(await send(rest, body)).body['id']}")
    assert (job["attempts"], job["data"]) == (5, 1.0)
    assert job["runAt"] - job["createdAt"] == 60_000
    fed = await send(rest, b"1", path="/queues/q/feed?delay=60000.0&priority=3.0")
    assert (await rest.get(f"/jobs/{fed.body['ids'][0]}"))["priority"] == 3
    refused = await send(rest, b'{"name": "n", "delay": 1.5}')
    assert (refused.status, "delay" in refused.body["detail"]) == (422, True)


async def test_integers_beyond_64_bits_are_refused(rest: Rest) -> None:
    answer = await send(rest, JOB % b"123456789012345678901")
    assert (answer.status, answer.body["code"]) == (422, "invalid")
    assert "64 bits" in answer.body["detail"]


async def test_of_equal_keys_the_last_one_counts(rest: Rest) -> None:
    id = (await send(rest, b'{"name": "n", "data": {"a": 1, "a": 2}}')).body["id"]
    assert (await rest.get(f"/jobs/{id}"))["data"] == {"a": 2}


async def test_an_unknown_field_is_named(rest: Rest) -> None:
    answer = await send(rest, b'{"name": "n", "prio": 1}')
    assert answer.status == 422
    assert "prio" in answer.body["detail"]


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "application/jsonx"])
async def test_another_content_type_is_415(rest: Rest, kind: str) -> None:
    answer = await send(rest, JOB % b"1", {"Content-Type": kind})
    assert (answer.status, answer.body["code"]) == (415, "unsupported_media_type")


async def test_a_json_dialect_is_json(rest: Rest) -> None:
    assert (await send(rest, JOB % b"1", {"Content-Type": "application/vnd.acme+json"})).status == 201


@pytest.mark.parametrize("accept", ["text/html", "application/json;q=0", "image/*"])
async def test_an_answer_of_another_type_is_406(rest: Rest, accept: str) -> None:
    answer = await send(rest, JOB % b"1", {"Accept": accept})
    assert (answer.status, answer.body["code"]) == (406, "not_acceptable")


@pytest.mark.parametrize("accept", ["*/*", "application/json", "text/html, application/json;q=0.5"])
async def test_json_is_acceptable_by_many_names(rest: Rest, accept: str) -> None:
    assert (await send(rest, JOB % b"1", {"Accept": accept})).status == 201


async def test_gzip_and_deflate_are_unpacked(rest: Rest) -> None:
    packed = {"gzip": gzip.compress(JOB % b'"zip"'), "deflate": zlib.compress(JOB % b'"zip"')}
    for encoding, body in packed.items():
        answer = await send(rest, body, {"Content-Encoding": encoding})
        assert answer.status == 201, encoding
        assert (await rest.get(f"/jobs/{answer.body['id']}"))["data"] == "zip"


async def test_gzip_that_is_none_is_malformed(rest: Rest) -> None:
    answer = await send(rest, b"not zipped at all", {"Content-Encoding": "gzip"})
    assert (answer.status, answer.body["code"]) == (400, "malformed")


async def test_an_unknown_encoding_is_415(rest: Rest) -> None:
    answer = await send(rest, JOB % b"1", {"Content-Encoding": "snappy"})
    assert answer.status == 415


async def test_a_gzip_bomb_is_cut_at_the_bound(rest: Rest) -> None:
    bomb = gzip.compress(b" " * (200 * 1024 * 1024))
    assert len(bomb) < 1024 * 1024
    answer = await send(rest, bomb, {"Content-Encoding": "gzip"})
    assert (answer.status, answer.body["code"]) == (413, "payload_too_large")


async def test_a_body_beyond_the_bound_is_413(rest: Rest) -> None:
    answer = await send(rest, BytesIO(b" " * (MAX_BODY_BYTES + 1)))
    assert (answer.status, answer.body["code"]) == (413, "payload_too_large")


async def test_data_beyond_10_mb_is_413(rest: Rest) -> None:
    answer = await send(rest, BytesIO(JOB % (b'"' + b"x" * (10 * 1024 * 1024 + 1) + b'"')))
    assert (answer.status, answer.body["code"]) == (413, "payload_too_large")


async def test_a_chunked_body_is_read_whole(rest: Rest) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for at in JOB % b'"piece by piece"':
            yield bytes([at])

    answer = await send(rest, chunks())
    assert answer.status == 201
    assert (await rest.get(f"/jobs/{answer.body['id']}"))["data"] == "piece by piece"


async def test_unknown_paths_and_methods_are_problems(rest: Rest) -> None:
    nowhere = await rest.ask("GET", "/nowhere")
    assert (nowhere.status, nowhere.headers["Content-Type"]) == (404, "application/problem+json")
    wrong = await rest.ask("DELETE", "/queues/q/jobs")
    assert (wrong.status, wrong.body["code"]) == (405, "method_not_allowed")
    assert set(wrong.headers["Allow"].split(",")) >= {"GET", "POST"}


async def test_head_has_no_body_and_options_names_methods(rest: Rest) -> None:
    head = await rest.ask("HEAD", "/queues")
    assert (head.status, head.body) == (200, None)
    assert int(head.headers["Content-Length"]) > 0
    options = await rest.ask("OPTIONS", "/queues/q/jobs")
    assert (options.status, options.headers["Allow"]) == (204, "GET, HEAD, OPTIONS, POST")


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=201", "limit=x", "limit=1&limit=2", "ascending=1", "no=1", "states=odd", f"tags={'x' * 257}"],
)
async def test_a_wrong_parameter_is_named(rest: Rest, query: str) -> None:
    answer = await rest.ask("GET", f"/jobs?{query}")
    assert (answer.status, answer.body["code"]) == (422, "invalid")


@pytest.mark.parametrize("queue", ["a%20b", "a%2Fb", "x" * 257])
async def test_a_bad_queue_name_is_refused(rest: Rest, queue: str) -> None:
    assert (await rest.ask("GET", f"/queues/{queue}/limits")).status == 422


async def test_ids_with_slashes_and_unicode_are_found(rest: Rest) -> None:
    for id, path in (("a/b c", "a%2Fb%20c"), ("ü%41", "%C3%BC%2541"), ("é" * 1024, "%C3%A9" * 1024)):
        await rest.post(PATH, {"name": "n", "id": id})
        assert (await rest.get(f"/jobs/{path}"))["id"] == id


ODD: dict[str, tuple[bytes, Any]] = {
    "bytes": (msgspec.msgpack.encode(b"\x00\xff"), {"$bytes": "AP8="}),
    "large": (msgspec.msgpack.encode(2**60), str(2**60)),
    "nan": (msgspec.msgpack.encode([float("nan"), float("inf")]), ["NaN", "Infinity"]),
    "keys": (msgspec.msgpack.encode({1: "a", None: "b"}), {"1": "a", "null": "b"}),
    "float": (msgspec.msgpack.encode(3.0), 3.0),
    "broken": (b"\xc1", {"$bytes": "wQ=="}),
    "bad-utf8": (b"\xa2\xff\xfe", {"$bytes": "ov/+"}),
}


@pytest.mark.parametrize("name", sorted(ODD))
async def test_odd_stored_data_breaks_no_answer(rest: Rest, name: str) -> None:
    stored, shown = ODD[name]
    (id,) = await rest.hub.enqueue("q", [NewJob(name="odd", data=stored)])
    assert (await rest.get(f"/jobs/{id}"))["data"] == shown
    (listed,) = (await rest.get("/queues/q/jobs"))["jobs"]
    assert listed["data"] == shown
    (leased,) = (await rest.post("/queues/q/lease"))["jobs"]
    assert leased["data"] == shown


async def test_deep_stored_data_is_cut(rest: Rest) -> None:
    (id,) = await rest.hub.enqueue("q", [NewJob(name="deep", data=b"\x91" * 500 + b"\xc0")])
    assert json.dumps((await rest.get(f"/jobs/{id}"))["data"]).count("[") == 64


async def test_user_data_comes_back_as_it_went_in(rest: Rest) -> None:
    data = {"n": 3.0, "i": 2**53, "neg": -(2**53), "t": "ü\u0000", "l": [1, [2.5, None, True]], "": {}}
    id = (await rest.post(PATH, {"name": "n", "data": data}))["id"]
    async with rest.client.get(f"{rest.url}/jobs/{id}") as response:
        text = await response.text()
    assert json.loads(text)["data"] == data
    assert '"n":3.0' in text


async def test_a_job_with_very_many_numbers_holds_nobody_up_when_it_is_shown(
    rest: Rest, monkeypatch: pytest.MonkeyPatch
) -> None:
    beside: list[bool] = []  # the loop, for each answer

    def noted(result: Any, status: int) -> Response:
        beside.append(threading.current_thread() is not threading.main_thread())
        return answer(result, status)

    monkeypatch.setattr(answers, "answer", noted)
    numbers = msgspec.msgpack.encode([0] * 2_000_000)
    made = await rest.post("/queues/q/feed", data=BytesIO(numbers), headers={"Content-Type": "application/msgpack"})
    beside.clear()
    async with rest.client.get(f"{rest.url}/jobs/{made['ids'][0]}") as response:
        assert response.status == 200
        assert len(await response.read()) > 4_000_000
    assert beside == [True]
