"""The InfluxDB sink against a real InfluxDB 1, and against answers of 2 and 3 as their documentation gives them."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from hubqueue.forward.verdict import Rejected
from support.answering import Answer, Answering, answering, json_answer
from support.influxdb import DATABASE, LOGIN, Influxdb
from support.writing import batch, down, sink_of, written


@pytest.fixture
async def influxdb(tmp_path: Path) -> AsyncIterator[Influxdb]:
    async with Influxdb(tmp_path) as found:
        yield found


@pytest.fixture
async def there() -> AsyncIterator[Answering]:
    async with answering() as found:
        yield found


def login() -> dict[str, object]:
    return {"database": DATABASE, "username": LOGIN[0], "password": LOGIN[1]}


ODD = ['a b,c=d"e', "tab\tand ümlaut", "back\\slash in it", "comma,", "equals=", "'quotes'", "{{ braces }}", "$HOME"]


async def test_odd_names_and_texts_come_back_as_they_went_in(influxdb: Influxdb) -> None:
    keys = {
        **login(),
        "measurement": "{{ data.m }}",
        "tags": ["room"],
        "fields": {"text": "data.room", "number": "data.n", "on": "data.n > 3"},
        "time": "data.n",
        "gzip": True,
    }
    data = [{"m": f"m {odd}", "room": odd, "n": n} for n, odd in enumerate(ODD)]
    async with sink_of(f"influx+{influxdb.url}", influx=keys) as sink:
        assert sink.target == f"influx+{influxdb.url}/{DATABASE}"
        assert await written(sink, batch(*data)) == [None] * len(data)
    rows = await influxdb.ask("SELECT * FROM /.*/")
    plain = {"\t": "\\t"}  # line breaks and tabs of names and tags are shown, as the official clients do
    expected = [
        (n * 10**9, f"m {odd}".replace("\t", plain["\t"]), odd.replace("\t", plain["\t"]), odd, float(n), n > 3)
        for n, odd in enumerate(ODD)
    ]
    found = [(row["time"], row["name"], row["room"], row["text"], row["number"], row["on"]) for row in rows]
    assert sorted(found) == expected


async def test_a_point_that_comes_again_is_there_once(influxdb: Influxdb) -> None:
    keys = {**login(), "tags": ["n"], "time": "data.n"}
    given = batch(*({"n": n, "v": n / 2} for n in range(50)))
    async with sink_of(f"influx+{influxdb.url}", influx=keys) as sink:
        for _ in range(3):
            assert await written(sink, given) == [None] * 50
    assert len(await influxdb.ask('SELECT v FROM "readings"')) == 50


async def test_the_others_of_a_batch_are_written_when_the_server_refuses_one(influxdb: Influxdb) -> None:
    keys = {**login(), "time": "data.at", "fields": ["v"]}
    data = [{"at": n, "v": "text" if n == 13 else n / 2} for n in range(30)]
    async with sink_of(f"influx+{influxdb.url}", influx=keys) as sink:
        results = await written(sink, batch(*data))
    refused = [(place, result) for place, result in enumerate(results) if result is not None]
    assert [place for place, _ in refused] == [13]
    assert "field type conflict" in refused[0][1].reason
    assert len(await influxdb.ask('SELECT v FROM "readings"')) == 29


async def test_a_database_that_is_not_there_refuses_no_job(influxdb: Influxdb) -> None:
    keys = {**login(), "database": "nowhere"}
    async with sink_of(f"influx+{influxdb.url}", influx=keys) as sink:
        found = await down(sink, batch({"v": 1.0}))
    assert found.reason.value == "protocol"
    assert "nowhere" in found.error
    assert found.alert


async def test_a_write_to_influxdb_1_looks_as_its_documentation_says(there: Answering) -> None:
    keys = {"database": "site 7", "retention_policy": "week", "precision": "us"}
    async with sink_of(f"influx+{there.url}/proxy/", influx=keys) as sink:
        assert await written(sink, batch({"v": 1.0})) == [None]
    (asked,) = there.asked
    assert (asked.method, asked.path) == ("POST", "/proxy/write")
    assert asked.query == {"db": "site 7", "rp": "week", "precision": "u"}
    assert asked.body == b"readings v=1.0 0"


async def test_a_write_to_influxdb_2_looks_as_its_documentation_says(there: Answering) -> None:
    keys = {"bucket": "site", "org": "farm & co", "token": "s3cret", "precision": "ns", "gzip": True}
    async with sink_of(f"influx+{there.url}", influx=keys) as sink:
        assert await written(sink, batch({"v": 1.0}, {"v": 2.0})) == [None, None]
    (asked,) = there.asked
    assert (asked.method, asked.path) == ("POST", "/api/v2/write")
    assert asked.query == {"org": "farm & co", "bucket": "site", "precision": "ns"}
    assert asked.headers["Authorization"] == "Token s3cret"
    assert asked.headers["Content-Encoding"] == "gzip"
    assert asked.body in (b"readings v=1.0 0\nreadings v=2.0 0", gzip.compress(asked.body))


async def test_influxdb_3_names_the_lines_that_it_did_not_write(there: Answering) -> None:
    there.answers = [
        json_answer(
            400,
            {
                "error": "partial write of line protocol occurred",
                "data": [{"original_line": "readings v=", "line_number": 2, "error_message": "invalid column type"}],
            },
        )
    ]
    async with sink_of(f"influx+{there.url}", influx={"bucket": "site"}) as sink:
        results = await written(sink, batch({"v": 1.0}, {"v": "a"}, {"v": 3.0}))
    assert results == [None, Rejected("invalid", "invalid column type"), None]
    assert len(there.asked) == 1


async def test_a_line_that_is_not_there_is_no_reason_to_lose_one(there: Answering) -> None:
    odd = json_answer(400, {"error": "partial write", "data": [{"line_number": 9, "error_message": "?"}]})
    there.answers = [odd, Answer(), Answer()]
    async with sink_of(f"influx+{there.url}", influx={"bucket": "site"}) as sink:
        assert await written(sink, batch({"v": 1.0}, {"v": 2.0})) == [None, None]
    assert len(there.asked) == 3


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (401, {"code": "unauthorized", "message": "unauthorized access"}, "auth"),
        (404, {"code": "not found", "message": 'bucket "site" not found'}, "protocol"),
        (429, {"code": "too many requests", "message": "exceeded rate limit"}, "quota"),
        (500, {"code": "internal error", "message": "engine: cache-max-memory-size exceeded"}, "store"),
        (503, {"code": "unavailable", "message": "unexpected error writing points"}, "draining"),
    ],
)
async def test_what_influxdb_2_says_of_itself_refuses_no_job(
    there: Answering, status: int, body: dict[str, str], reason: str
) -> None:
    there.answers = [Answer(status, json_answer(status, body).body, {"Retry-After": "30"})]
    async with sink_of(f"influx+{there.url}", influx={"bucket": "site", "token": "s3cret"}) as sink:
        found = await down(sink, batch({"v": 1.0}, {"v": 2.0}))
    assert (found.reason.value, found.retry_after_s) == (reason, 30.0)
    assert body["message"].replace('"', '\\"') in found.error


async def test_a_batch_with_nothing_to_write_asks_nobody(there: Answering) -> None:
    async with sink_of(f"influx+{there.url}", influx={"bucket": "site"}) as sink:
        results = await written(sink, batch({}, None))
    assert [result.code for result in results if result is not None] == ["invalid", "invalid"]
    assert there.asked == []
